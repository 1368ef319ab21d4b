"""A saved PNG as JPEG, WebP or AVIF, with the same recipe, infotext and AI label in those formats' own places."""

import re
import threading
from io import BytesIO

from PIL import ExifTags, Image, features

from app import __version__
from app.core.errors import FieldError, InvalidRequest
from app.picture import labels, recipe
from app.picture.png import INFOTEXT

# What a Pillow of this machine can write; `png` is the file as it was saved.
FORMATS = ("png", "jpeg", "webp", *(("avif",) if features.check("avif") else ()))
_one_at_a_time = threading.Lock()  # a picture and its encoder in memory, however many ask


def convert(png: bytes, output_format: str, quality: int = 100) -> bytes:
    """The picture in `output_format` (`png`: the bytes as they are). `quality` is 0 to 100.

    The infotext goes to EXIF UserComment, where A1111 reads it (`UNICODE` + UTF-16BE), label and recipe to XMP. Raises
    InvalidRequest for texts that the format has no room for: a JPEG file holds 64 KiB of each.
    """
    if output_format == "png":
        return png
    with _one_at_a_time, Image.open(BytesIO(png), formats=["PNG"]) as picture:
        picture.load()
        texts = getattr(picture, "text", {})
        exif = Image.Exif()
        exif[ExifTags.Base.Software] = f"Atelier {__version__}"  # Pillow writes no block for the inner one alone
        comment = b"UNICODE\0" + str(texts.get(INFOTEXT, "")).encode("utf-16-be")
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
        xmp = labels.with_recipe(str(texts.get(labels.KEYWORD, "")), str(texts.get(recipe.KEYWORD, "")))
        stream = BytesIO()
        try:
            picture.convert("RGB").save(stream, output_format.upper(), quality=quality, exif=exif, xmp=xmp.encode())
        except ValueError as error:
            if not re.search("too long", str(error)):
                raise
            allowed = "this picture's recipe is too long for it; allowed are the other formats"
            raise InvalidRequest([FieldError("format", output_format, allowed)]) from error
    return stream.getvalue()
