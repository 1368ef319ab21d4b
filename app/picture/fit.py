"""A picture brought to the size that was asked for: scaled with one factor, so that nothing is stretched."""

from dataclasses import replace

from PIL import Image

from app.core.picture import Picture


def cover(picture: Image.Image, width: int, height: int, method: Image.Resampling) -> Image.Image:
    """The picture scaled until it fills `width` x `height` pixels; what sticks out is cut evenly at two sides."""
    factor = max(width / picture.width, height / picture.height)
    size = max(width, round(picture.width * factor)), max(height, round(picture.height * factor))
    large = picture.resize(size, method)
    left, top = (large.width - width) // 2, (large.height - height) // 2
    return large.crop((left, top, left + width, top + height))


def delivered(drawn: Picture, width: int, height: int) -> Picture:
    """The drawn picture in the size that was asked for; `how` says at which size it was drawn, and so does a note.

    The same pixels and size always give the same bytes. A picture that has the size already is given back as it is.
    """
    if (drawn.width, drawn.height) == (width, height):
        return drawn
    with Image.frombytes("RGB", (drawn.width, drawn.height), drawn.rgb) as small:
        rgb = cover(small, width, height, Image.Resampling.LANCZOS).tobytes()
    how = drawn.how | {
        "drawn": {"width": drawn.width, "height": drawn.height},
        "notes": [*drawn.how.get("notes", ()), _note(drawn, width, height)],
    }
    return replace(drawn, width=width, height=height, rgb=rgb, how=how)


def _note(drawn: Picture, width: int, height: int) -> str:
    factor = max(width / drawn.width, height / drawn.height)
    verbs = ["enlarged"] if factor > 1 else ["reduced"] if factor < 1 else []
    if drawn.width * height != drawn.height * width:
        verbs.append("cut")
    asked = f"{width}x{height}"
    return f"drawn at {drawn.width}x{drawn.height}, a size that this model knows, then {' and '.join(verbs)} to {asked}"
