"""A picture made larger or smaller with all the texts it carries: the recipe and an incoming AI label stay in it."""

from io import BytesIO

from PIL import Image, PngImagePlugin

from app.core.errors import FieldError, InvalidRequest, UnreadablePicture
from app.picture import labels
from app.picture.fit import cover
from app.picture.png import FORMATS, MAX_PIXELS

METHODS = {"Lanczos": Image.Resampling.LANCZOS, "Nearest": Image.Resampling.NEAREST}


def resize(data: bytes, size: tuple[int, int] | float, method: str | None, *, crop: bool = False) -> bytes:
    """PNG bytes of the picture scaled by a factor, or to (width, height) pixels; `method` None copies the pixels.

    To a size with `crop`, the picture fills it and what sticks out is cut evenly; without, it is stretched.
    Raises UnreadablePicture, and InvalidRequest if the result would have more than 33 million pixels.
    """
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise UnreadablePicture(f"The picture has more than {MAX_PIXELS} pixels.")
            texts = _texts(opened)
            picture = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePicture from error
    if method is not None:
        picture = _scaled(picture, size, METHODS[method], crop)
    stream = BytesIO()
    picture.save(stream, "PNG", pnginfo=texts)
    return stream.getvalue()


def _scaled(picture: Image.Image, size: tuple[int, int] | float, method: Image.Resampling, crop: bool) -> Image.Image:
    exact = isinstance(size, tuple)
    width, height = size if isinstance(size, tuple) else (round(picture.width * size), round(picture.height * size))
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise InvalidRequest([FieldError("size", f"{width}x{height}", f"allowed is 1 to {MAX_PIXELS} pixels in all")])
    if not (exact and crop):
        return picture.resize((width, height), method)
    return cover(picture, width, height, method)


def _texts(picture: Image.Image) -> PngImagePlugin.PngInfo:
    kept = PngImagePlugin.PngInfo()
    for keyword, value in getattr(picture, "text", {}).items():
        if keyword == "parameters":
            kept.add_text(keyword, value)
        else:
            kept.add_itxt(keyword, value)
    packet = picture.info.get("xmp")
    if packet and labels.KEYWORD not in getattr(picture, "text", {}):
        kept.add_itxt(labels.KEYWORD, packet.decode("utf-8", "replace") if isinstance(packet, bytes) else packet)
    return kept
