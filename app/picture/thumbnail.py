"""Small WebP copies of pictures for lists and grids."""

from io import BytesIO

from PIL import Image

from app.core.errors import FieldError, InvalidRequest, UnreadablePicture
from app.picture.png import FORMATS, MAX_PIXELS

WIDTHS = (256, 512)
QUALITY = 82


def thumbnail(data: bytes, width: int) -> bytes:
    """A WebP whose longer side is at most `width` pixels (256 or 512). A smaller picture keeps its size.

    It carries no metadata. Raises InvalidRequest for another width, UnreadablePicture for what is no picture.
    """
    if width not in WIDTHS:
        raise InvalidRequest([FieldError("w", width, "allowed is 256 or 512")])
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise UnreadablePicture(f"The picture has more than {MAX_PIXELS} pixels.")
            picture.draft("RGB", (width, width))
            small = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePicture from error
    small.thumbnail((width, width), Image.Resampling.LANCZOS)
    stream = BytesIO()
    small.save(stream, "WEBP", quality=QUALITY, method=4)
    return stream.getvalue()
