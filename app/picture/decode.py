"""The one place where pictures from outside are decoded: within limits, whatever is in them."""

import struct
from io import BytesIO

from PIL import Image

from app.core.errors import UnreadablePicture
from app.picture import outside
from app.picture.outside import Outside


def decoded(data: bytes, most_pixels: int | None = None) -> tuple[Outside, Image.Image]:
    """What the file says, and its picture with all pixels read. Of an animation the first picture.

    Raises UnreadablePicture for what `outside.decodable` refuses (`most_pixels` in place of its own limits), and for
    a file that is damaged inside.
    """
    file, pixels = outside.decodable(data, most_pixels)
    try:
        picture = Image.open(BytesIO(pixels), formats=[file.format])
        picture.load()
    # SyntaxError is Pillow's word for a broken file, struct.error slips through; the bomb warning is an error under -W.
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombWarning) as error:
        raise UnreadablePicture from error
    return file, picture
