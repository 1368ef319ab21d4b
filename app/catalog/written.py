"""Prompts as they are stored: with their styles, their choices drawn, and what was written kept beside them."""

from pathlib import Path

from app.catalog.styles import read_styles
from app.catalog.wildcards import drawn
from app.core.errors import FieldError, InvalidRequest
from app.core.schema import GenerationRequest, Written
from app.core.styles import with_styles

MAX_NAMED = 50  # in an error


def as_stored(request: GenerationRequest, models_folder: Path) -> GenerationRequest:
    """The request with its styles added and then its choices and wildcards drawn by its seed.

    One that has nothing of it comes back as it is; prompts that were drawn before are not drawn again. Raises
    InvalidRequest.
    """
    before = request.written
    styled = _styled(request, models_folder) if request.styles else request
    made = styled if before != Written() else drawn(styled, models_folder)
    if made == request:
        return request
    said = before if before != Written() else Written(prompt=request.prompt, negative_prompt=request.negative_prompt)
    said = said.model_copy(update={"styles": (*said.styles, *request.styles)})
    return made.model_copy(update={"styles": (), "written": said})


def _styled(request: GenerationRequest, models_folder: Path) -> GenerationRequest:
    known = read_styles(models_folder).known
    unknown = [name for name in request.styles if name not in known]
    if unknown:
        more = ", …" if len(known) > MAX_NAMED else ""
        allowed = f"allowed is one of: {', '.join(list(known)[:MAX_NAMED])}{more}"
        raise InvalidRequest([FieldError("styles", name, allowed) for name in unknown])
    styles = [known[name] for name in request.styles]
    try:
        prompt = with_styles(request.prompt, [style.prompt for style in styles])
        negative = with_styles(request.negative_prompt, [style.negative_prompt for style in styles])
    except ValueError as error:
        raise InvalidRequest([FieldError("styles", list(request.styles), str(error))]) from None
    return request.model_copy(update={"prompt": prompt, "negative_prompt": negative, "styles": ()})
