"""create_app: the Flask app of the image service, put together from its doors."""

from collections.abc import Callable, Mapping, Sequence

from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from app import __version__
from app.service import environment, playground
from app.service.automatic1111 import door as automatic1111
from app.service.http import callers, docs_page, for_people, metrics, request_ids, scopes, security
from app.service.http.body_limits import StrictJson
from app.service.http.key_ring import KeyRing
from app.service.http.keys import ApiKeys
from app.service.http.parameters import ModelKey, refuse_invalid
from app.service.http.problem_json import Problem
from app.service.http.scopes import Act
from app.service.native import door as native
from app.service.openai import door as openai
from app.service.parts import EXTENSION, Parts

# A door is one dialect: it opens its addresses in a top-level blueprint whose name is its `door` in the metrics.
# The checks of http/security.py stand in front of every door. A door whose clients expect another shape of errors calls
# errors.answer_errors_with(its blueprint, its own renderer).
Door = Callable[[OpenAPI, Parts], None]
DOORS: tuple[Door, ...] = (
    native.register,
    playground.register,
    environment.register,
    openai.register,
    automatic1111.register,
)

DESCRIPTION = """Text to picture as jobs in a queue that survives crashes. Errors are `application/problem+json`
(RFC 9457) with a stable `code`. Times are UTC (ISO 8601), durations seconds, sizes pixels or bytes."""


def create_app(
    parts: Parts,
    keys: KeyRing | None = None,
    doors: Sequence[Door] = DOORS,
    table: Mapping[Act, str] = scopes.TABLE,
) -> OpenAPI:
    """The WSGI app over `parts`. Without `keys` whoever reaches it may do everything.

    Raises UnlistedAddress if a door opens an address that is not in the `table` of scopes.
    """
    app = docs_page.DocumentedApi(
        __name__,
        info=Info(title="Atelier image service", version=__version__, description=DESCRIPTION),
        security_schemes={
            "key": {"type": "http", "scheme": "bearer", "description": "Needed where the service has API keys."},
        },
        validation_error_model=Problem,
        validation_error_callback=refuse_invalid,
        doc_ui=False,
        static_folder=None,
        openapi_extensions={"security": [{}, {"key": []}]},
    )
    app.json = StrictJson(app)
    app.url_map.converters["model"] = ModelKey
    app.extensions[EXTENSION] = parts
    # Order matters: an id for the request first, so that whatever is refused after it carries one.
    request_ids.register(app)
    app.extensions[metrics.EXTENSION] = metrics.register(app, parts)
    acts = scopes.lines(table)
    app.extensions[callers.EXTENSION] = keys or KeyRing(ApiKeys())
    security.register(app, parts.settings, app.extensions[callers.EXTENSION], acts)
    for_people.register(app, parts.settings)
    docs_page.register(app)
    for door in doors:
        door(app, parts)
    scopes.check(app, acts)
    return app
