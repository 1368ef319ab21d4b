"""A picture brought to the size that was asked for: scaled with one factor, so that nothing is stretched."""

from dataclasses import replace

from PIL import Image

from app.core.picture import Picture

Box = tuple[float, float, float, float]  # left, top, right, bottom; pixels


def flat(picture: Image.Image, background: str = "white") -> Image.Image:
    """The picture in RGB; the background shows through where it is transparent: white, as in A1111."""
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    made = Image.new("RGB", picture.size, background)
    made.paste(picture, mask=picture.getchannel("A"))
    return made


def cover(picture: Image.Image, width: int, height: int, method: Image.Resampling) -> Image.Image:
    """The picture scaled until it fills `width` x `height` pixels; what would stick out is cut evenly at two sides."""
    factor = max(width / picture.width, height / picture.height)
    wide, high = min(picture.width, width / factor), min(picture.height, height / factor)
    left, top = (picture.width - wide) / 2, (picture.height - high) / 2
    return scaled(picture, width, height, method, (left, top, left + wide, top + high))


def scaled(
    picture: Image.Image, width: int, height: int, method: Image.Resampling, box: Box | None = None
) -> Image.Image:
    """The picture, or the part of it in `box`, with so many pixels.

    Pillow scales the width first, and between the two steps a narrow, tall picture would be gigabytes large. Where that
    would have more pixels than both pictures, the height goes first: one of the two ways never has.
    """
    left, top, right, bottom = box or (0, 0, picture.width, picture.height)
    if width * (bottom - top) <= max(picture.width * picture.height, width * height):
        return picture.resize((width, height), method, box=(left, top, right, bottom))
    low = picture.resize((picture.width, height), method, box=(0, top, picture.width, bottom))
    return low.resize((width, height), method, box=(left, 0, right, height))


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
