"""A picture from outside made plain: upright, in sRGB, one of three modes, and nothing in the file but its pixels."""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageCms

from app.core.errors import UnreadablePicture
from app.picture.decode import decoded
from app.picture.exif import orientation
from app.picture.outside import Outside
from app.picture.pack import packed

MAX_PROFILE_BYTES = 2**20
# What undoes each EXIF orientation; 1 is upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Plain:
    """A PNG file without any text or profile. `mode` is L (grey), RGB or RGBA, 8 bit."""

    png: bytes
    width: int
    height: int
    mode: str


def make_plain(data: bytes, *, max_bytes: int, max_pixels: int) -> Plain:
    """The still picture in a PNG, JPEG or WebP file. The same pixels give the same bytes.

    Raises UnreadablePicture for any other file, one that is damaged, animated, or larger than is allowed.
    """
    if len(data) > max_bytes:
        raise UnreadablePicture(f"The file has {len(data)} bytes.")
    file, picture = decoded(data, max_pixels)
    if file.frames > 1:
        raise UnreadablePicture(f"The {file.format} file is an animation of {file.frames} pictures.")
    upright = _upright(_in_three_modes(picture), file)
    return Plain(packed(upright), upright.width, upright.height, upright.mode)


def _upright(picture: Image.Image, file: Outside) -> Image.Image:
    turn = _TURNS.get(orientation(file.exif))
    return picture if turn is None else picture.transpose(turn)


def _in_three_modes(picture: Image.Image) -> Image.Image:
    """L, RGB or RGBA without a palette, a transparent colour or a colour profile in its `info`."""
    if picture.mode == "I;16":  # a PNG of 16 bits grey: the upper eight
        picture = Image.frombytes("L", picture.size, picture.tobytes("raw", "I;16B")[0::2])
    profile = picture.info.get("icc_profile")
    if picture.mode in ("LA", "La", "PA", "RGBa", "RGBA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        plain = _in_srgb(rgba.convert("RGB"), profile)
        plain.putalpha(rgba.getchannel("A"))
    elif picture.mode in ("1", "L"):
        plain = picture.convert("L")
    else:
        plain = _in_srgb(picture if picture.mode == "CMYK" else picture.convert("RGB"), profile)
    plain.info = {}
    return plain


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB as a screen shows it. A profile that is broken, or for another kind of picture, is as good as none."""
    if profile and len(profile) <= MAX_PROFILE_BYTES:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            if not ImageCms.getProfileDescription(source).strip().startswith("sRGB"):
                converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return picture.convert("RGB")
