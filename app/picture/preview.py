"""A preview made as large as the picture will be."""

from io import BytesIO

from PIL import Image


def enlarged(preview: bytes, size: tuple[int, int], output_format: str) -> bytes:
    """The small JPEG `preview` scaled to `size` (width, height in pixels), as `png`, `jpeg` or `webp`."""
    with Image.open(BytesIO(preview), formats=["JPEG"]) as picture:
        large = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    stream = BytesIO()
    large.save(stream, output_format.upper())
    return stream.getvalue()
