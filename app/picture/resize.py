"""A picture made larger or smaller with all the texts it carries: the recipe and an incoming AI label stay in it."""

from PIL import Image, PngImagePlugin

from app.core.errors import FieldError, InvalidRequest
from app.picture import labels, outside
from app.picture.decode import decoded
from app.picture.fit import cover, scaled
from app.picture.outside import MAX_DECODED_PIXELS, Outside
from app.picture.pack import packed

METHODS = {"Lanczos": Image.Resampling.LANCZOS, "Nearest": Image.Resampling.NEAREST}
MAX_PIXELS = MAX_DECODED_PIXELS["PNG"]  # of a result


def resize(data: bytes, size: tuple[int, int] | float, method: str | None, *, crop: bool = False) -> bytes:
    """PNG bytes of the picture scaled by a factor, or to (width, height) pixels; `method` None copies the pixels.

    To a size with `crop`, the picture fills it and what sticks out is cut evenly; without, it is stretched.
    Raises UnreadablePicture, and InvalidRequest if the result would have more than 16 million pixels.
    """
    wanted = _wanted(outside.decodable(data)[0], size)  # refused before a pixel is decoded
    file, picture = decoded(data)
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    if method is not None:
        fill = cover if crop and isinstance(size, tuple) else scaled
        picture = fill(picture, *wanted, METHODS[method])
    return packed(picture, _texts(file))


def _wanted(file: Outside, size: tuple[int, int] | float) -> tuple[int, int]:
    width, height = size if isinstance(size, tuple) else (round(file.width * size), round(file.height * size))
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise InvalidRequest([FieldError("size", f"{width}x{height}", f"allowed is 1 to {MAX_PIXELS} pixels in all")])
    return width, height


def _texts(file: Outside) -> PngImagePlugin.PngInfo:
    kept = PngImagePlugin.PngInfo()
    for keyword, value in file.texts.items():
        if keyword == "parameters":
            kept.add_text(keyword, value)
        else:
            kept.add_itxt(keyword, value)
    if file.xmp and labels.KEYWORD not in file.texts:
        kept.add_itxt(labels.KEYWORD, file.xmp)
    return kept
