"""Which key may do what: each address with its method is an act, and each act needs one scope, whatever the door.

The app does not start with an address that is not listed here. `docs/scopes.md` is made from this table.
"""

from collections.abc import Mapping
from enum import Enum

from flask import Flask

from app.core.errors import AtelierError
from app.service.http.keys import Scope

ANSWERED_BY_FLASK = frozenset({"HEAD", "OPTIONS"})  # HEAD is a GET; OPTIONS tells the methods only


class Act(Enum):
    """What can be done, and the scope that it needs. None = no key."""

    KNOW = ("learn that the service lives and how to talk to it", None)
    LOOK = ("look at jobs, grids, pictures, models and settings", Scope.READ)
    INSPECT = ("ask what a picture file says", Scope.READ)
    MAKE = ("submit jobs and grids, upload pictures to start from, resize pictures", Scope.GENERATE)
    STEER = ("cancel, move and clear one's own jobs and grids (of everybody with `admin`)", Scope.GENERATE)
    MARK = ("mark one's own pictures as favourites (of everybody with `admin`)", Scope.GENERATE)
    DELETE = ("delete pictures, and have them back from the trash", Scope.ADMIN)
    MODELS = ("load, unload, download and clean models", Scope.ADMIN)
    OPERATE = ("pause the queue, read metrics", Scope.ADMIN)

    def __init__(self, words: str, scope: Scope | None) -> None:
        self.words = words
        self.scope = scope


TABLE: Mapping[Act, str] = {
    Act.KNOW: """
        GET /
        GET /health
        GET /ready
        GET /openapi.json
        GET /docs
        GET /docs/start.js
        GET /docs/<any('ui.js', 'ui.css'):name>
    """,
    Act.LOOK: """
        GET /api/status
        GET /api/jobs
        GET /api/jobs/<job_id>
        GET /api/jobs/<job_id>/events
        GET /api/grids
        GET /api/grids/<grid_id>
        GET /grids/<grid_id>.png
        GET /api/images
        GET /api/images/<image_id>
        GET /api/images/<image_id>/chain
        GET /api/inputs/<sha256>
        GET /api/inputs/<sha256>.png
        GET /api/inputs/<sha256>/preprocessed.png
        GET /images/<image_id>.png
        GET /images/<image_id>/thumbnail.webp
        GET /api/loras
        GET /api/embeddings
        GET /api/styles
        GET /api/models
        GET /api/models/<model:key>
        GET /api/models/<model:key>/events
        GET /v1/images/<image_id>.<any(jpeg,webp):kind>
        GET /v1/models
        GET /v1/models/<path:key>
        GET /server/status
        GET /image/generate
        GET /queue_status
        GET /getlibrary
        GET /library/<queue_id>/<image_id>.png
        GET /internal/ping
        GET /internal/pending-tasks
        POST /internal/progress
        GET /sdapi/v1/progress
        GET /sdapi/v1/options
        GET /sdapi/v1/memory
        GET /sdapi/v1/cmd-flags
        GET /sdapi/v1/sd-models
        GET /sdapi/v1/sd-modules
        GET /sdapi/v1/sd-vae
        GET /sdapi/v1/samplers
        GET /sdapi/v1/schedulers
        GET /sdapi/v1/upscalers
        GET /controlnet/version
        GET /controlnet/model_list
        GET /controlnet/module_list
        GET /controlnet/settings
        GET /sdapi/v1/latent-upscale-modes
        GET /sdapi/v1/scripts
        GET /sdapi/v1/script-info
        GET /sdapi/v1/extensions
        GET /sdapi/v1/embeddings
        GET /sdapi/v1/face-restorers
        GET /sdapi/v1/hypernetworks
        GET /sdapi/v1/loras
        GET /sdapi/v1/prompt-styles
        GET /sdapi/v1/realesrgan-models
        POST /sdapi/v1/refresh-checkpoints
        POST /sdapi/v1/refresh-embeddings
        POST /sdapi/v1/refresh-loras
        POST /sdapi/v1/refresh-vae
    """,
    Act.INSPECT: """
        POST /api/inspect
        POST /sdapi/v1/png-info
    """,
    Act.MAKE: """
        POST /api/jobs
        POST /api/generate
        POST /api/describe
        POST /api/sketch
        POST /api/grids
        POST /api/inputs
        POST /api/inputs/<sha256>/crop
        POST /v1/images/generations
        POST /v1/images/edits
        POST /v1/images/variations
        POST /prompt
        POST /image/generate
        POST /sdapi/v1/txt2img
        POST /sdapi/v1/img2img
        POST /sdapi/v1/extra-single-image
        POST /sdapi/v1/extra-batch-images
        POST /sdapi/v1/interrogate
        POST /controlnet/detect
    """,
    Act.STEER: """
        POST /api/jobs/<job_id>/cancel
        POST /api/grids/<grid_id>/cancel
        POST /api/jobs/<job_id>/move
        PATCH /api/jobs/<job_id>
        POST /api/queue/cancel
        POST /api/queue/clear
        POST /sdapi/v1/interrupt
        POST /sdapi/v1/skip
    """,
    Act.MARK: """
        PATCH /api/images/<image_id>
    """,
    Act.DELETE: """
        DELETE /api/images/<image_id>
        GET /api/trash
        DELETE /api/trash
        GET /api/trash/<image_id>/thumbnail.webp
        POST /api/trash/<image_id>/restore
        DELETE /library/<queue_id>/<image_id>.png
    """,
    Act.MODELS: """
        POST /api/models/<model:key>/load
        POST /api/models/<model:key>/unload
        POST /api/models/<model:key>/download
        DELETE /api/models/<model:key>/download
        POST /api/models/<model:key>/clean
        POST /sdapi/v1/options
        POST /sdapi/v1/unload-checkpoint
        POST /sdapi/v1/reload-checkpoint
    """,
    Act.OPERATE: """
        POST /api/queue/pause
        POST /api/queue/resume
        GET /metrics
    """,
}


class UnlistedAddress(AtelierError):
    """An address has no place in the table of scopes, so nobody has decided who may use it."""

    code = "unlisted_address"


def lines(table: Mapping[Act, str] = TABLE) -> dict[str, Act]:
    """`METHOD rule` → act. Raises UnlistedAddress if a line stands there twice."""
    found: dict[str, Act] = {}
    for act, text in table.items():
        for line in filter(None, map(str.strip, text.splitlines())):
            if line in found:
                raise UnlistedAddress(f"`{line}` is listed as two acts: {found[line].name} and {act.name}.")
            found[line] = act
    return found


def check(app: Flask, acts: Mapping[str, Act]) -> None:
    """Raise UnlistedAddress naming every address of the app, with its method, that is not in `acts`."""
    missing = sorted(
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - ANSWERED_BY_FLASK
        if f"{method} {rule.rule}" not in acts
    )
    if missing:
        raise UnlistedAddress(
            f"Not in the table of scopes: {', '.join(missing)}.", hint="See app/service/http/scopes.py."
        )


def page() -> str:
    """docs/scopes.md."""
    text = (
        "# Scopes\n\nMade by `python -m app.service.http.scopes_page` from the table that the service itself checks.\n"
    )
    text += "Each act needs one scope at every door; `admin` includes `generate`, which includes `read`.\n"
    acts = lines()
    for act in TABLE:
        need = f"a key of the scope `{act.scope}`" if act.scope else "no key"
        text += f"\n## {act.words[0].upper()}{act.words[1:]}\n\nNeeds {need}.\n\n"
        text += "\n".join(f"- `{line}`" for line, listed in acts.items() if listed is act) + "\n"
    return text
