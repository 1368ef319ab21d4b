"""Models that make pictures larger, where a request for another model names one."""

from collections.abc import Callable, Sequence

from app.catalog.entry import ModelEntry
from app.core.errors import FieldError, UnknownModel
from app.core.schema import HR_LANCZOS, HR_LATENT, GenerationRequest
from app.families import family_of

WITHOUT_A_MODEL = (HR_LANCZOS, HR_LATENT)


def hires_upscaler(
    request: GenerationRequest, get: Callable[[str], ModelEntry], entries: Callable[[], Sequence[ModelEntry]]
) -> tuple[ModelEntry | None, list[FieldError]]:
    """The model that enlarges between a request's two passes, if one does, and what is wrong with its name.

    `get` finds a model by its key and raises UnknownModel; `entries` has all of them.
    """
    key = request.hr_upscaler
    if not request.enable_hr or key in WITHOUT_A_MODEL:
        return None, []
    try:
        found = get(key)
    except UnknownModel:
        found = None
    if found is None or not family_of(found.pipeline).only_enlarges:
        here = [entry.key for entry in entries() if family_of(entry.pipeline).only_enlarges]
        return None, [FieldError("hr_upscaler", key, f"allowed is one of: {', '.join((*WITHOUT_A_MODEL, *here))}")]
    if found.refused:
        return None, [FieldError("hr_upscaler", key, found.refused)]
    return found, []
