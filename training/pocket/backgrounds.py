"""Backgrounds: every place and plain colour of the world as an RGB picture, with a little chance in the details."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
from draw import paste
from PIL import Image, ImageDraw, ImageFilter
from words import COLOURS

Colour = tuple[int, int, int]
# How far down the ground begins, as a share of the height; things "on" it stand a little below the middle.
WHITE_FLOOR: tuple[Colour, Colour] = ((250, 249, 246), (226, 226, 230))


def gradient(side: int, top: Colour, bottom: Colour) -> Image.Image:
    """A vertical blend of two colours, `side` pixels square."""
    t = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    rows = np.asarray(top, np.float32) * (1 - t) + np.asarray(bottom, np.float32) * t
    return Image.fromarray(np.broadcast_to(rows, (side, side, 3)).astype(np.uint8))


def _shift(colour: Colour, rng: random.Random, amount: int = 8) -> Colour:
    change = rng.randint(-amount, amount)
    return tuple(max(0, min(255, part + change)) for part in colour)  # type: ignore[return-value]


def _split(side: int, horizon: float, sky: tuple[Colour, Colour], ground: tuple[Colour, Colour]) -> Image.Image:
    """Sky above, ground below the horizon."""
    picture = gradient(side, *sky)
    line = round(side * horizon)
    picture.paste(gradient(side, *ground).resize((side, side - line)), (0, line))
    return picture


def _dots(picture: Image.Image, rng: random.Random, count: int, colour: Colour, below: float = 1.0) -> None:
    pen = ImageDraw.Draw(picture)
    for _ in range(count):
        x, y = rng.random() * picture.width, rng.random() * picture.height * below
        r = picture.width * rng.choice((0.006, 0.009, 0.013))
        pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def _cloud(pen: ImageDraw.ImageDraw, x: float, y: float, w: float, fill: Colour) -> None:
    for dx, dy, r in ((-0.3, 0.05, 0.2), (0, -0.06, 0.28), (0.3, 0.05, 0.2), (0, 0.1, 0.24)):
        pen.ellipse((x + (dx - r) * w, y + (dy - r * 0.7) * w, x + (dx + r) * w, y + (dy + r * 0.7) * w), fill=fill)


def plain(side: int, colour: str, rng: random.Random) -> Image.Image:
    """A wall of one colour, a little darker at the foot."""
    base = _shift(COLOURS[colour][0], rng, 6)
    return gradient(side, base, tuple(round(part * 0.9) for part in base))  # type: ignore[arg-type]


def unspecified(side: int, rng: random.Random) -> Image.Image:
    """What is behind a thing when the caption does not say: a bright studio."""
    return gradient(side, _shift(WHITE_FLOOR[0], rng, 3), _shift(WHITE_FLOOR[1], rng, 3))


def sky(side: int, rng: random.Random) -> Image.Image:
    picture = gradient(side, _shift((72, 150, 235), rng), (186, 224, 250))
    pen = ImageDraw.Draw(picture)
    for x, y in ((0.14, 0.16), (0.86, 0.24), (0.12, 0.86), (0.84, 0.88)):
        _cloud(pen, side * (x + rng.uniform(-0.05, 0.05)), side * y, side * rng.uniform(0.24, 0.34), (255, 255, 255))
    return picture


def night(side: int, rng: random.Random) -> Image.Image:
    picture = gradient(side, _shift((12, 16, 52), rng, 4), (44, 50, 104))
    _dots(picture, rng, 26, (255, 250, 220))
    paste(picture, "moon", None, (side * 0.86, side * 0.15), side * 0.2)
    return picture


def city(side: int, rng: random.Random) -> Image.Image:
    picture = gradient(side, (22, 10, 54), (128, 34, 120))
    pen = ImageDraw.Draw(picture)
    step = side / 8
    for i in range(8):
        tall = side * ((0.62, 0.44, 0.7, 0.38, 0.5, 0.36, 0.74, 0.54)[i] + rng.uniform(-0.05, 0.05))
        left, top = i * step, side * 0.94 - tall
        pen.rectangle((left, top, left + step * 0.92, side), fill=((30, 24, 70), (20, 30, 78), (42, 20, 76))[i % 3])
        glow = ((0, 240, 255), (255, 60, 200), (255, 220, 60))[(i + rng.randint(0, 2)) % 3]
        pen.rectangle((left, top, left + step * 0.92, top + side * 0.012), fill=glow)
        for row in range(int(tall / (side * 0.07))):
            for column in (0.2, 0.58):
                if rng.random() < 0.7:
                    x, y = left + step * column, top + side * (0.04 + row * 0.07)
                    pen.rectangle((x, y, x + step * 0.2, y + side * 0.028), fill=glow)
    pen.rectangle((0, side * 0.94, side, side), fill=(12, 8, 32))
    return picture


def street(side: int, rng: random.Random) -> Image.Image:
    picture = _split(side, 0.6, ((150, 205, 245), (214, 236, 250)), ((96, 98, 104), (66, 68, 74)))
    pen = ImageDraw.Draw(picture)
    walls = ((206, 120, 92), (226, 190, 120), (150, 160, 190), (190, 140, 150))
    for i in range(4):
        left = side * i / 4
        top = side * ((0.2, 0.3, 0.26, 0.16)[i] + rng.uniform(-0.03, 0.03))
        pen.rectangle((left, top, left + side * 0.245, side * 0.6), fill=walls[(i + rng.randint(0, 1)) % 4])
        for row in range(3):
            for column in (0.04, 0.14):
                x, y = left + side * column, top + side * (0.05 + row * 0.11)
                if y < side * 0.52:
                    pen.rectangle((x, y, x + side * 0.055, y + side * 0.06), fill=(240, 246, 250))
    for i in range(4):
        pen.rectangle(
            (side * (0.04 + i * 0.26), side * 0.8, side * (0.18 + i * 0.26), side * 0.825), fill=(245, 240, 220)
        )
    return picture


def garden(side: int, rng: random.Random) -> Image.Image:
    picture = _split(side, 0.58, ((170, 220, 250), (226, 242, 250)), ((126, 196, 92), (84, 160, 70)))
    pen = ImageDraw.Draw(picture)
    for x in (0.1, 0.9):
        pen.rectangle((side * (x - 0.02), side * 0.26, side * (x + 0.02), side * 0.66), fill=(110, 74, 54))
        for _ in range(16):
            cx, cy = side * (x + rng.uniform(-0.15, 0.15)), side * (0.2 + rng.uniform(-0.14, 0.14))
            r = side * 0.06
            pen.ellipse((cx - r, cy - r, cx + r, cy + r), fill=rng.choice(((255, 178, 206), (250, 150, 190))))
    for i in range(9):
        x, y, r = side * (0.04 + i * 0.115), side * (0.92 + rng.uniform(-0.04, 0.04)), side * 0.025
        pen.ellipse((x - r, y - r, x + r, y + r), fill=((250, 90, 120), (255, 220, 80), (255, 255, 255))[i % 3])
    return picture


def beach(side: int, rng: random.Random) -> Image.Image:
    picture = _split(side, 0.34, ((110, 190, 245), (190, 228, 250)), ((30, 140, 200), (60, 180, 215)))
    picture.paste(
        gradient(side, (246, 224, 168), (230, 198, 134)).resize((side, round(side * 0.46))), (0, round(side * 0.54))
    )
    pen = ImageDraw.Draw(picture)
    pen.ellipse((-side * 0.2, side * 0.5, side * 1.2, side * 0.58), fill=(250, 250, 250))
    pen.ellipse((-side * 0.2, side * 0.525, side * 1.2, side * 0.68), fill=(244, 222, 166))
    pen.ellipse((side * 0.07, side * 0.06, side * 0.21, side * 0.2), fill=(255, 236, 120))
    return picture


def sea(side: int, rng: random.Random) -> Image.Image:
    picture = _split(side, 0.42, ((120, 196, 246), (212, 236, 250)), ((40, 120, 205), (14, 70, 150)))
    pen = ImageDraw.Draw(picture)
    for row in range(6):
        y = side * (0.48 + row * 0.085)
        for i in range(5):
            x = side * (i * 0.24 + (row % 2) * 0.12 + rng.uniform(-0.02, 0.02) - 0.06)
            pen.arc((x, y, x + side * 0.14, y + side * 0.06), 200, 340, fill=(150, 206, 240), width=max(1, side // 64))
    return picture


def underwater(side: int, rng: random.Random) -> Image.Image:
    picture = gradient(side, (60, 180, 225), (8, 62, 130))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((-side * 0.2, side * 0.88, side * 1.2, side * 1.3), fill=(206, 186, 130))
    for x in (0.08, 0.16, 0.84, 0.93):
        for i in range(5):
            cx, cy = side * (x + 0.02 * (-1) ** i), side * (0.94 - i * 0.06)
            pen.ellipse((cx - side * 0.02, cy - side * 0.04, cx + side * 0.02, cy + side * 0.04), fill=(40, 150, 90))
    for _ in range(9):
        x, y, r = rng.random() * side, rng.random() * side * 0.8, side * rng.uniform(0.01, 0.025)
        pen.ellipse((x - r, y - r, x + r, y + r), outline=(210, 240, 255), width=max(1, side // 100))
    return picture


def _ridge(
    pen: ImageDraw.ImageDraw, side: int, peaks: tuple[tuple[float, float], ...], foot: float, fill: Colour, snow: bool
) -> None:
    for x, top in peaks:
        w = (foot - top) * 0.75
        pen.polygon([(side * (x - w), side * foot), (side * x, side * top), (side * (x + w), side * foot)], fill=fill)
        if snow:
            s = 0.3
            pen.polygon(
                [
                    (side * (x - w * s), side * (top + (foot - top) * s)),
                    (side * x, side * top),
                    (side * (x + w * s), side * (top + (foot - top) * s)),
                ],
                fill=(248, 250, 255),
            )


def mountains(side: int, rng: random.Random) -> Image.Image:
    picture = gradient(side, (120, 186, 240), (220, 236, 248))
    pen = ImageDraw.Draw(picture)
    move = rng.uniform(-0.04, 0.04)
    _ridge(pen, side, ((0.5 + move, 0.3),), 0.76, (134, 150, 184), True)
    _ridge(pen, side, ((0.16 + move, 0.14), (0.86 + move, 0.18)), 0.76, (92, 106, 146), True)
    pen.rectangle((0, side * 0.74, side, side), fill=_shift((96, 156, 84), rng))
    return picture


def snow(side: int, rng: random.Random) -> Image.Image:
    picture = _split(side, 0.58, ((150, 186, 220), (206, 222, 236)), ((250, 252, 255), (222, 232, 244)))
    for x in (0.1, 0.9):
        paste(picture, "pine tree", "cyan", (side * (x + rng.uniform(-0.03, 0.03)), side * 0.44), side * 0.34)
    _dots(picture, rng, 34, (255, 255, 255))
    return picture


def forest(side: int, rng: random.Random) -> Image.Image:
    picture = _split(side, 0.66, ((120, 170, 120), (60, 110, 72)), ((66, 110, 52), (44, 80, 38)))
    for i, x in enumerate((0.06, 0.26, 0.5, 0.74, 0.94)):
        high = (0.62, 0.44, 0.36, 0.44, 0.62)[i]
        paste(
            picture, "pine tree", None, (side * (x + rng.uniform(-0.02, 0.02)), side * (0.74 - high / 2)), side * high
        )
    return picture


def desert(side: int, rng: random.Random) -> Image.Image:
    picture = gradient(side, (250, 196, 120), (252, 232, 180))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((-side * 0.5, side * 0.52, side * 0.8, side * 1.4), fill=(226, 164, 88))
    pen.ellipse((side * 0.3, side * 0.6, side * 1.6, side * 1.5), fill=(212, 146, 74))
    paste(picture, "cactus", None, (side * (0.1 + rng.uniform(-0.02, 0.03)), side * 0.5), side * 0.24)
    return picture


def space(side: int, rng: random.Random) -> Image.Image:
    picture = gradient(side, (6, 4, 18), (20, 10, 44))
    _dots(picture, rng, 40, (255, 255, 255))
    _dots(picture, rng, 10, (150, 190, 255))
    paste(picture, "planet", None, (side * 0.13, side * 0.15), side * 0.2)
    paste(picture, "earth", None, (side * 0.88, side * 0.87), side * 0.2)
    return picture


def room(side: int, rng: random.Random) -> Image.Image:
    picture = _split(side, 0.68, (_shift((240, 226, 200), rng, 5), (232, 214, 184)), ((176, 126, 84), (150, 102, 66)))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, side * 0.67, side, side * 0.69), fill=(252, 248, 240))
    left, top = side * 0.06, side * 0.08
    pen.rectangle((left, top, left + side * 0.22, top + side * 0.28), fill=(252, 250, 244))
    pen.rectangle((left + side * 0.02, top + side * 0.02, left + side * 0.2, top + side * 0.26), fill=(150, 206, 245))
    pen.rectangle((left + side * 0.1, top, left + side * 0.12, top + side * 0.28), fill=(252, 250, 244))
    pen.rectangle((side * 0.78, side * 0.1, side * 0.94, side * 0.26), fill=(120, 84, 60))
    pen.rectangle((side * 0.8, side * 0.12, side * 0.92, side * 0.24), fill=(240, 190, 120))
    return picture


def table(side: int, rng: random.Random, colour: str | None = None) -> Image.Image:
    wood = (170, 112, 66) if colour is None else COLOURS[colour][0]
    wood = _shift(wood, rng, 5)
    picture = gradient(side, (214, 222, 214), (196, 206, 200))
    pen = ImageDraw.Draw(picture)
    leg = tuple(round(part * 0.7) for part in wood)
    pen.rectangle((side * 0.1, side * 0.8, side * 0.18, side), fill=leg)
    pen.rectangle((side * 0.82, side * 0.8, side * 0.9, side), fill=leg)
    pen.polygon(
        [(side * 0.14, side * 0.62), (side * 0.86, side * 0.62), (side, side * 0.82), (0, side * 0.82)], fill=wood
    )
    pen.rectangle((0, side * 0.82, side, side * 0.88), fill=tuple(round(part * 0.82) for part in wood))
    return picture


def field(side: int, rng: random.Random) -> Image.Image:
    picture = gradient(side, (120, 192, 246), (214, 236, 250))
    pen = ImageDraw.Draw(picture)
    _cloud(pen, side * (0.8 + rng.uniform(-0.06, 0.06)), side * 0.16, side * 0.28, (255, 255, 255))
    pen.ellipse((-side * 0.4, side * 0.56, side * 1.4, side * 1.8), fill=_shift((112, 190, 76), rng))
    for i in range(8):
        x, y = side * (i * 0.13 + 0.04), side * (0.86 + rng.uniform(-0.06, 0.08))
        pen.line((x, y, x, y - side * 0.04), fill=(66, 140, 50), width=max(1, side // 60))
    return picture


def sunset(side: int, rng: random.Random) -> Image.Image:
    picture = gradient(side, (90, 50, 120), (255, 150, 70))
    pen = ImageDraw.Draw(picture)
    x = 0.5 + rng.uniform(-0.05, 0.05)
    pen.ellipse((side * (x - 0.2), side * 0.44, side * (x + 0.2), side * 0.84), fill=(255, 226, 120))
    picture.paste(gradient(side, (190, 90, 84), (80, 40, 84)).resize((side, round(side * 0.3))), (0, round(side * 0.7)))
    for i in range(4):
        w = 0.17 - i * 0.035
        y = side * (0.74 + i * 0.06)
        pen.rectangle((side * (x - w), y, side * (x + w), y + side * 0.018), fill=(255, 200, 110))
    return picture


def rain(side: int, rng: random.Random) -> Image.Image:
    picture = gradient(side, (96, 108, 126), (150, 160, 172))
    pen = ImageDraw.Draw(picture)
    for x in (0.12, 0.45, 0.8):
        _cloud(pen, side * (x + rng.uniform(-0.04, 0.04)), side * 0.08, side * 0.42, (72, 80, 96))
    for row in range(7):
        for i in range(7):
            cx = side * (i * 0.15 + (row % 2) * 0.07 + rng.uniform(-0.01, 0.01))
            cy = side * (0.2 + row * 0.12)
            pen.line((cx, cy, cx - side * 0.02, cy + side * 0.055), fill=(196, 222, 244), width=max(1, side // 80))
    return picture


PAINTERS: dict[str, Callable[[int, random.Random], Image.Image]] = {
    "sky": sky,
    "night": night,
    "city": city,
    "street": street,
    "garden": garden,
    "beach": beach,
    "sea": sea,
    "underwater": underwater,
    "mountains": mountains,
    "snow": snow,
    "forest": forest,
    "desert": desert,
    "space": space,
    "room": room,
    "table": table,
    "field": field,
    "sunset": sunset,
    "rain": rain,
}


def add_lightning(picture: Image.Image, rng: random.Random) -> None:
    """Two bolts from the upper edge."""
    pen = ImageDraw.Draw(picture)
    side = picture.width
    for x in (0.32, 0.7):
        points = [(side * x, 0.0)]
        for i in range(1, 6):
            points.append((side * (x + (0.05 if i % 2 else -0.03) + rng.uniform(-0.01, 0.01)), side * 0.11 * i))
        pen.line(points, fill=(255, 244, 150), width=max(2, side // 40))
        pen.line(points, fill=(255, 255, 240), width=max(1, side // 90))


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    """The picture out of focus; `radius` in 128ths of the side."""
    return picture.filter(ImageFilter.GaussianBlur(radius * picture.width / 128))


def arch(pen: ImageDraw.ImageDraw, side: int) -> None:
    """A red Japanese bridge over a pond, across the lower half."""
    pen.ellipse((side * 0.02, side * 0.72, side * 0.98, side * 1.0), fill=(90, 170, 214))
    box = (side * 0.1, side * 0.5, side * 0.9, side * 1.2)
    pen.arc(box, 205, 335, fill=(150, 30, 30), width=max(3, round(side * 0.09)))
    pen.arc(box, 205, 335, fill=(210, 50, 44), width=max(2, round(side * 0.05)))
    upper = (side * 0.1, side * 0.4, side * 0.9, side * 1.1)
    pen.arc(upper, 212, 328, fill=(210, 50, 44), width=max(1, round(side * 0.025)))
    for degree in range(215, 330, 14):
        a = math.radians(degree)
        x = side * (0.5 + 0.39 * math.cos(a))
        y = side * (0.85 + 0.35 * math.sin(a))
        pen.line((x, y, x, y - side * 0.1), fill=(190, 40, 38), width=max(1, round(side * 0.018)))
