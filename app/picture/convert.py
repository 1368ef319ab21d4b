"""A saved PNG as JPEG or WebP, with the same infotext and the same AI label in those formats' own places."""

from io import BytesIO

from PIL import ExifTags, Image

from app.picture import labels
from app.picture.png import INFOTEXT

FORMATS = ("png", "jpeg", "webp")


def convert(png: bytes, output_format: str, quality: int = 100) -> bytes:
    """The picture in `output_format` (`png`: the bytes as they are). `quality` is 0 to 100, for jpeg and webp.

    The infotext goes to EXIF UserComment, where A1111 reads it (`UNICODE` + UTF-16BE), the label to XMP.
    """
    if output_format == "png":
        return png
    with Image.open(BytesIO(png), formats=["PNG"]) as picture:
        picture.load()
        texts = getattr(picture, "text", {})
        exif = Image.Exif()
        comment = b"UNICODE\0" + str(texts.get(INFOTEXT, "")).encode("utf-16-be")
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
        stream = BytesIO()
        xmp = str(texts.get(labels.KEYWORD, "")).encode()
        picture.convert("RGB").save(stream, output_format.upper(), quality=quality, exif=exif, xmp=xmp)
    return stream.getvalue()
