"""Masks of pictures: white where something is to be made anew."""

from io import BytesIO

from PIL import Image, ImageChops, ImageFilter, ImageStat

GREY = (128, 128, 128)
Box = tuple[int, int, int, int]  # left, top, right, bottom; pixels
# A1111's `modules/masking.py`: how far colours are carried, from far to near, and how often each is laid on.
_CARRIED = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))


def softened(mask: Image.Image, across: float, down: float) -> Image.Image:
    """A grey mask whose edges go over by so many pixels; for 0 the mask itself."""
    return mask.filter(ImageFilter.GaussianBlur((across, down))) if across or down else mask


def part_to_draw(mask: Image.Image, padding: int, width: int, height: int) -> Box:
    """The box around what is masked, with so many pixels more at each side, in the ratio of `width` to `height` where
    the picture has room for it. The whole picture if nothing is masked."""
    found = mask.getbbox()
    if found is None:
        return 0, 0, mask.width, mask.height
    left, right = max(0, found[0] - padding), min(mask.width, found[2] + padding)
    top, bottom = max(0, found[1] - padding), min(mask.height, found[3] + padding)
    wide, high = right - left, bottom - top
    if wide * height > high * width:
        top, bottom = _widened(top, bottom, round(wide * height / width), mask.height)
    else:
        left, right = _widened(left, right, round(high * width / height), mask.width)
    return left, top, right, bottom


def inside_of(picture: tuple[int, int], frame: tuple[int, int]) -> Box:
    """Where in the middle of a frame a picture lies that fills it as far as its ratio lets it."""
    width, height = (min(frame[i], max(1, round(picture[i] * frame[1 - i] / picture[1 - i]))) for i in (0, 1))
    left, top = (frame[0] - width) // 2, (frame[1] - height) // 2
    return left, top, left + width, top + height


def _widened(low: int, high: int, wanted: int, most: int) -> tuple[int, int]:
    """The span made `wanted` long around its middle, inside 0 to `most`."""
    wanted = min(max(wanted, high - low), most)
    low = min(max(0, low - (wanted - (high - low)) // 2), most - wanted)
    return low, low + wanted


def filled_from_around(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with the colours around the mask carried over what it covers, as A1111's "fill" does."""
    kept = Image.new("RGBa", picture.size)
    kept.paste(picture.convert("RGBA").convert("RGBa"), mask=ImageChops.invert(mask))
    made = Image.new("RGBA", picture.size, (*_usual_colour(picture, mask), 255))
    for radius, times in _CARRIED:
        laid = kept.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            made.alpha_composite(laid)
    return made.convert("RGB")


def _usual_colour(picture: Image.Image, mask: Image.Image) -> tuple[int, ...]:
    """Of what is not masked; it stands where nothing is near."""
    kept = ImageChops.invert(mask)
    return tuple(map(round, ImageStat.Stat(picture, kept).mean)) if kept.getbbox() else GREY


def extended(
    picture: Image.Image, mask: Image.Image | None, sides: tuple[int, int, int, int]
) -> tuple[Image.Image, Image.Image]:
    """An RGB picture with so many pixels more at its left, top, right and bottom, in the colours beside them; and the
    mask of what is new beside what was masked before."""
    left, top, right, bottom = sides
    size = picture.width + left + right, picture.height + top + bottom
    wide, new = Image.new("RGB", size), Image.new("L", size, 255)
    wide.paste(picture, (left, top))
    new.paste(0, (left, top, left + picture.width, top + picture.height))
    filled = filled_from_around(wide, new)
    filled.paste(picture, (left, top))
    if mask is not None:
        new.paste(mask, (left, top))
    return filled, new


def soft_mask(png: bytes, *, blur: tuple[float, float] = (0, 0), inverted: bool = False) -> bytes:
    """A plain picture as a grey mask, blurred by so many pixels across and down. `inverted`: black is made anew."""
    mask = _grey(png)
    if inverted:
        mask = ImageChops.invert(mask)
    return _png(softened(mask, *blur))


def from_transparency(png: bytes) -> bytes | None:
    """The mask that a plain picture's transparent part is, as OpenAI has it; None if nothing of it is transparent."""
    with Image.open(BytesIO(png), formats=["PNG"]) as picture:
        if picture.mode != "RGBA":
            return None
        mask = ImageChops.invert(picture.getchannel("A"))
    return _png(mask) if mask.getbbox() else None


def _grey(png: bytes) -> Image.Image:
    with Image.open(BytesIO(png), formats=["PNG"]) as picture:
        flat = Image.new("RGB", picture.size)
        flat.paste(picture, mask=picture.getchannel("A") if picture.mode == "RGBA" else None)
        return flat.convert("L")


def _png(mask: Image.Image) -> bytes:
    stream = BytesIO()
    mask.save(stream, "PNG")
    return stream.getvalue()
