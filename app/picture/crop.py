"""A part of a picture."""

from io import BytesIO

from PIL import Image

from app.picture.pack import packed


def cropped(png: bytes, left: int, top: int, width: int, height: int) -> bytes:
    """The PNG of that part, in pixels from the top left. Raises ValueError, saying what is allowed, for one that is not
    inside the picture."""
    with Image.open(BytesIO(png), formats=["PNG"]) as picture:
        inside = min(left, top) >= 0 and left + width <= picture.width and top + height <= picture.height
        if not inside or min(width, height) < 1:
            raise ValueError(f"allowed is a part of its {picture.width}x{picture.height} pixels")
        return packed(picture.crop((left, top, left + width, top + height)))
