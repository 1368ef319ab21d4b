"""Styles and spoilings as effects on a finished picture."""

from __future__ import annotations

import random

import numpy as np
from backgrounds import blurred
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps


def watercolor(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Pale washes on paper with soft borders that fade into the sheet."""
    side = min(picture.size)
    washed = picture.filter(ImageFilter.MedianFilter(5)).filter(ImageFilter.GaussianBlur(side / 110))
    washed = Image.blend(ImageEnhance.Color(washed).enhance(1.15), Image.new("RGB", picture.size, (255, 252, 244)), 0.3)
    mask = Image.new("L", picture.size, 0)
    margin = side * 0.06
    sheet = (margin, margin, picture.width - margin, picture.height - margin)
    ImageDraw.Draw(mask).rounded_rectangle(sheet, side * 0.12, fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(side * 0.03))
    return Image.composite(washed, Image.new("RGB", picture.size, (252, 249, 242)), mask)


def pixel(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Big square pixels, 32 across the shorter side, few colours."""
    big = min(picture.size) // 32
    small = picture.resize((picture.width // big, picture.height // big), Image.Resampling.BOX)
    return ImageOps.posterize(small, 4).resize(picture.size, Image.Resampling.NEAREST)


def sketch(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Grey pencil lines and light shading on white paper."""
    grey = ImageOps.grayscale(picture)
    dodge = ImageChops.invert(grey).filter(ImageFilter.GaussianBlur(min(picture.size) / 32))
    lines = np.asarray(grey, float) * 255 / np.maximum(256 - np.asarray(dodge, float), 1)
    drawn = np.clip(lines, 0, 255) * 0.8 + 255 * 0.2 - (255 - np.asarray(grey, float)) * 0.18
    return Image.fromarray(drawn.clip(0, 255).astype(np.uint8)).convert("RGB")


def neon(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Glowing outlines on a dark violet ground."""
    edges = picture.filter(ImageFilter.FIND_EDGES).filter(ImageFilter.GaussianBlur(0.6))
    glow = ImageEnhance.Brightness(ImageEnhance.Color(edges).enhance(2.5)).enhance(2.2)
    dark = Image.blend(
        ImageEnhance.Brightness(picture).enhance(0.45), Image.new("RGB", picture.size, (40, 0, 70)), 0.45
    )
    return ImageChops.screen(dark, glow)


def digital(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Saturated, contrasty, lit from the upper left."""
    strong = ImageEnhance.Contrast(ImageEnhance.Color(picture).enhance(1.5)).enhance(1.15)
    light = (np.linspace(0, 1, picture.width)[None, :] + np.linspace(0, 1, picture.height)[:, None]) / 2
    tint = np.stack([255 - 200 * light, 120 + 40 * light, 160 + 95 * light], -1).astype(np.uint8)
    return Image.blend(strong, Image.fromarray(tint), 0.2)


def photo(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Softer colours and darkened corners, as through a lens."""
    soft = ImageEnhance.Color(picture).enhance(0.8)
    across, down = np.linspace(-1, 1, picture.width)[None, :], np.linspace(-1, 1, picture.height)[:, None]
    shade = 1 - 0.45 * np.clip((across**2 + down**2) - 0.45, 0, 1)
    return Image.fromarray((np.asarray(soft, float) * shade[..., None]).astype(np.uint8))


EFFECTS = {"watercolor": watercolor, "pixel": pixel, "sketch": sketch, "neon": neon, "digital": digital, "photo": photo}


def stylize(picture: Image.Image, style: str, rng: random.Random) -> Image.Image:
    """The picture in a style of words.STYLES."""
    return EFFECTS[style](picture, rng)


def spoil(picture: Image.Image, quality: str, rng: random.Random) -> Image.Image:
    """The picture as `blurry`, `low` (noisy, dull, few pixels) or stamped with a `watermark`."""
    if quality == "blurry":
        return blurred(picture, 4.5)
    if quality == "low":
        few = (picture.width // 3, picture.height // 3)
        small = picture.resize(few, Image.Resampling.BOX).resize(picture.size)
        noise = np.random.default_rng(rng.randrange(2**32)).normal(0, 26, (picture.height, picture.width, 1))
        dull = np.asarray(ImageEnhance.Contrast(small).enhance(0.7), float) + noise
        return Image.fromarray(dull.clip(0, 255).astype(np.uint8))
    stamped = picture.copy()
    pen = ImageDraw.Draw(stamped)
    side = picture.width
    for start in (-0.6, -0.2, 0.2, 0.6):
        pen.line((side * start, side, side * (start + 1), 0), fill=(235, 235, 235), width=max(2, side // 26))
    return Image.blend(picture, stamped, 0.75)
