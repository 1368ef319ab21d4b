"""What a control model sees of an uploaded picture, also where a model has to look at it."""

from app.catalog import ModelEntry
from app.core.control import Preprocessor
from app.core.errors import FieldError, InvalidRequest, UnknownModel
from app.service.installed import check_installed
from app.service.parts import Parts


def seer_of(parts: Parts, preprocessor: Preprocessor, field: str) -> ModelEntry | None:
    """The model that is the preprocessor; None if it needs none.

    Raises InvalidRequest, which names `field`, if the catalog has none; ModelNotInstalled.
    """
    if not preprocessor.by_model:
        return None
    try:
        entry = parts.catalog.seer(preprocessor)
    except UnknownModel as error:
        raise InvalidRequest([FieldError(field, preprocessor.value, error.message)]) from error
    check_installed(parts, entry)
    return entry


def seen(
    parts: Parts, sha256: str, preprocessor: Preprocessor, seer: ModelEntry | None, width: int, height: int
) -> bytes:
    """What a control model sees of a picture in that size, as a PNG: a job of that size is given the same.

    `seer` is what `seer_of` gave. Raises UnknownInput, StorageUnavailable, and of a model EngineUnavailable if no
    device is free within half a minute and what its loading raises.
    """
    if seer is None:
        return parts.inputs.hint(sha256, preprocessor, width, height)
    fitted = parts.inputs.hint(sha256, Preprocessor.NONE, width, height)
    return parts.looks.ask(parts.dispatcher.wake, seer.key, picture=fitted)
