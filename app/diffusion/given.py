"""Pictures that a caller of the library hands over to start from."""

import hashlib
import os
from collections.abc import Mapping, Sequence
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
    image: Given | None,
    mask_image: Given | None,
    extend: object,
    settings: Settings,
    reference_images: Sequence[Given] = (),
    *,
    edit: bool = False,
) -> tuple[dict[str, Any], Held]:
    """The fields of a request that starts from these pictures, and the pictures; nothing of both without one.

    Raises InvalidRequest for what is no picture within the limits of `settings`.
    """
    if image is None:
        for name, value in (("mask_image", mask_image), ("edit", edit or None), ("reference_images", reference_images)):
            if value:
                raise InvalidRequest([FieldError(name, "…", "it needs an image")])
        return {}, Held()
    given = [("image", "image", image)] + ([("mask", "mask_image", mask_image)] if mask_image is not None else [])
    given += [("reference", f"reference_images.{place}", each) for place, each in enumerate(reference_images)]
    pictures = Held()
    inputs = [{"role": role, "sha256": _held(each, name, settings, pictures)} for role, name, each in given]
    whole = mask_image is None and extend == NO_SIDES
    task = "edit" if edit or reference_images else "image" if whole else "inpaint"
    return {"task": task, "inputs": inputs}, pictures


def control_fields(units: Sequence[Mapping[str, Any]], settings: Settings, pictures: Held) -> dict[str, Any]:
    """The field `control` of a request, by units whose `image` is a picture; those are added to `pictures`.

    Raises InvalidRequest for what is no picture within the limits of `settings`.
    """
    made = []
    for place, unit in enumerate(units):
        image = _held(unit.get("image"), f"control.{place}.image", settings, pictures)
        made.append({**unit, "image": image})
    return {"control": made} if made else {}


def _held(given: Any, name: str, settings: Settings, pictures: Held) -> str:
    """The SHA-256 of a picture, which is added to `pictures`."""
    png = _plain(given, name, settings)
    sha256 = hashlib.sha256(png).hexdigest()
    pictures[sha256] = png
    return sha256


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
