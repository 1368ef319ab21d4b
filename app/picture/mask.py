"""Masks of pictures: white where something is to be made anew."""

from io import BytesIO

from PIL import Image, ImageChops, ImageFilter


def soft_mask(png: bytes, *, blur: tuple[float, float] = (0, 0), inverted: bool = False) -> bytes:
    """A plain picture as a grey mask, blurred by so many pixels across and down. `inverted`: black is made anew."""
    mask = _grey(png)
    if inverted:
        mask = ImageChops.invert(mask)
    if any(blur):
        mask = mask.filter(ImageFilter.GaussianBlur(blur))
    return _png(mask)


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
