"""Glyphs as pictures: read from the colour font once, scaled, recoloured. Pillow and NumPy only."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from words import COLOURS, nouns

FONT_PATHS = (
    Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf"),
)
BITMAP_SIZE = 109  # the only size the colour bitmaps exist in
GLYPH_SIDE = 128
# Things that borrow a glyph of another colour: the font has a glass of milk, we want one of water.
BORROWED = {"glass of water": "cyan"}


class FontMissing(RuntimeError):
    """Noto Color Emoji is not installed; on Debian: apt install fonts-noto-color-emoji."""


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    for path in FONT_PATHS:
        if path.exists():
            return ImageFont.truetype(str(path), BITMAP_SIZE)
    raise FontMissing(FontMissing.__doc__)


def _squared(picture: Image.Image) -> Image.Image:
    """The glyph cropped to its ink and centred in a transparent square of GLYPH_SIDE."""
    ink = picture.crop(picture.getbbox())
    scale = GLYPH_SIDE / max(ink.size)
    ink = ink.resize((max(1, round(ink.width * scale)), max(1, round(ink.height * scale))), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (GLYPH_SIDE, GLYPH_SIDE), (0, 0, 0, 0))
    square.paste(ink, ((GLYPH_SIDE - ink.width) // 2, (GLYPH_SIDE - ink.height) // 2))
    return square


@cache
def glyph(character: str) -> Image.Image:
    """The glyph as RGBA, GLYPH_SIDE x GLYPH_SIDE pixels, its longer side filling the square."""
    canvas = Image.new("RGBA", (180, 180), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((10, 10), character, font=_font(), embedded_color=True)
    return _squared(canvas)


@cache
def natural_colour(character: str) -> str | None:
    """The colour a glyph has by itself when one of ours covers most of its ink, else None."""
    pixels = np.asarray(glyph(character).resize((24, 24), Image.Resampling.BOX), float).reshape(-1, 4)
    inked = pixels[pixels[:, 3] > 200][:, :3]
    if len(inked) == 0:
        return None
    names = list(COLOURS)
    table = np.asarray([COLOURS[name][0] for name in names], float)
    nearest = np.square(inked[:, None] - table[None]).sum(-1).argmin(1)
    counts = np.bincount(nearest, minlength=len(names))
    return names[int(counts.argmax())] if counts.max() >= 0.8 * len(inked) else None


def recoloured(picture: Image.Image, colour: str) -> Image.Image:
    """The RGBA picture in shades of `colour`: its light and dark parts stay light and dark."""
    pixels = np.asarray(picture, np.float32)
    alpha = pixels[..., 3:]
    light = pixels[..., :3] @ np.array([0.3, 0.59, 0.11], np.float32)
    inked = light[alpha[..., 0] > 128]
    if inked.size:
        low, high = np.percentile(inked, (4, 96))
        # a flat glyph stays mid-toned instead of having its noise stretched
        spread = max(float(high - low), 90.0)
        middle = float(high + low) / 2
        light = np.clip((light - middle) / spread + 0.5, 0, 1)
    target = np.asarray(COLOURS[colour][0], np.float32)
    dark, bright = target * 0.42, target + (255 - target) * 0.45
    if colour == "white":
        dark = np.array([150, 152, 160], np.float32)
    if colour == "black":
        dark, bright = target * 0.3, target + (255 - target) * 0.25
    t = light[..., None]
    shade = np.where(t < 0.5, dark + (target - dark) * (t * 2), target + (bright - target) * (t * 2 - 1))
    return Image.fromarray(np.concatenate([shade, alpha], -1).clip(0, 255).astype(np.uint8), "RGBA")


@lru_cache(maxsize=4096)
def thing(noun: str, colour: str | None) -> Image.Image:
    """The noun's glyph in the asked colour, GLYPH_SIDE square; untouched when that is its own colour anyway."""
    character = nouns()[noun].glyph
    picture = glyph(character)
    colour = colour or BORROWED.get(noun)
    if colour is None or colour == natural_colour(character):
        return picture
    return recoloured(picture, colour)


def paste(
    canvas: Image.Image,
    noun: str,
    colour: str | None,
    centre: tuple[float, float],
    side: float,
    mirrored: bool = False,
) -> None:
    """Paste the noun centred at `centre` (pixels) with its longer side `side` pixels."""
    width = max(4, round(side))
    picture = thing(noun, colour).resize(
        (width, width), Image.Resampling.BOX if width < 64 else Image.Resampling.BILINEAR
    )
    if mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    canvas.paste(picture, (round(centre[0] - width / 2), round(centre[1] - width / 2)), picture)
