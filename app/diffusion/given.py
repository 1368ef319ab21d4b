"""Pictures that a caller of the library hands over to start from."""

import hashlib
import os
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image

from app.core.errors import FieldError, InvalidRequest, UnreadablePicture
from app.core.schema import NO_SIDES
from app.core.settings import Settings
from app.diffusion.starts import Held
from app.picture.plain import make_plain

Given: TypeAlias = Image.Image | bytes | str | os.PathLike[str]  # a picture, a file's bytes, or its path
_ALLOWED = "a PIL picture, or a PNG, JPEG or WebP file as bytes or path, is needed"


def start_fields(
    image: Given | None, mask_image: Given | None, extend: object, settings: Settings
) -> tuple[dict[str, Any], Held]:
    """The fields of a request that starts from these pictures, and the pictures; nothing of both without one.

    Raises InvalidRequest for what is no picture within the limits of `settings`.
    """
    if image is None:
        if mask_image is not None:
            raise InvalidRequest([FieldError("mask_image", "…", "it needs an image")])
        return {}, Held()
    inputs, pictures = [], Held()
    for role, name, given in (("image", "image", image), ("mask", "mask_image", mask_image)):
        if given is not None:
            png = _plain(given, name, settings)
            sha256 = hashlib.sha256(png).hexdigest()
            pictures[sha256] = png
            inputs.append({"role": role, "sha256": sha256})
    whole = mask_image is None and extend == NO_SIDES
    return {"task": "image" if whole else "inpaint", "inputs": inputs}, pictures


def _plain(given: Given, name: str, settings: Settings) -> bytes:
    try:
        return make_plain(_file_of(given), max_bytes=settings.max_input_bytes, max_pixels=settings.max_input_pixels).png
    except (UnreadablePicture, OSError, TypeError, ValueError) as error:
        reason = error.message if isinstance(error, UnreadablePicture) else str(error)
        raise InvalidRequest([FieldError(name, type(given).__name__, f"{_ALLOWED}. {reason}")]) from None


def _file_of(given: Given) -> bytes:
    if isinstance(given, bytes):
        return given
    if isinstance(given, Image.Image):
        stream = BytesIO()
        given.save(stream, "PNG")
        return stream.getvalue()
    return Path(given).read_bytes()
