"""The example prompts of the documentation, each drawn with care. They are part of training, oversampled."""

from __future__ import annotations

import random
from collections.abc import Callable

from backgrounds import PAINTERS, add_lightning, arch, gradient, mountains, night, sky, sunset, table
from draw import paste
from effects import stylize
from PIL import Image, ImageDraw

Spot = tuple[str, str | None, float, float, float]  # noun, colour, centre x, centre y, side as shares of the frame


def _with(picture: Image.Image, *spots: Spot) -> Image.Image:
    side = picture.width
    for noun, colour, x, y, width in spots:
        paste(picture, noun, colour, (x * side, y * side), width * side)
    return picture


def red_apple(side: int, rng: random.Random) -> Image.Image:
    return _with(table(side, rng, "white"), ("apple", "red", 0.5 + rng.uniform(-0.02, 0.02), 0.46, 0.58))


def blue_bird(side: int, rng: random.Random) -> Image.Image:
    return _with(sky(side, rng), ("bird", "blue", 0.5 + rng.uniform(-0.02, 0.02), 0.5, 0.62))


def cityscape(side: int, rng: random.Random) -> Image.Image:
    picture = PAINTERS["city"](side, rng)
    shift = rng.uniform(-0.03, 0.03)
    pen = ImageDraw.Draw(picture)
    for noun, colour, x, y, width in (("car", "cyan", 0.3 + shift, 0.2, 0.3), ("car", "pink", 0.68 + shift, 0.4, 0.34)):
        pen.line(
            (side * (x + 0.1), side * (y + 0.04), side * (x + 0.4), side * (y + 0.04)),
            fill=(255, 240, 170),
            width=max(2, side // 48),
        )
        paste(picture, noun, colour, (side * x, side * y), side * width)
    return picture


def japanese_garden(side: int, rng: random.Random) -> Image.Image:
    picture = PAINTERS["garden"](side, rng)
    arch(ImageDraw.Draw(picture), side)
    return picture


def watercolor_sunset(side: int, rng: random.Random) -> Image.Image:
    return stylize(sunset(side, rng), "watercolor", rng)


def cyberpunk_street(side: int, rng: random.Random) -> Image.Image:
    picture = PAINTERS["city"](side, rng)
    pen = ImageDraw.Draw(picture)
    pen.polygon(
        [(side * 0.36, side * 0.62), (side * 0.64, side * 0.62), (side * 1.1, side), (-side * 0.1, side)],
        fill=(26, 20, 52),
    )
    for i in range(3):
        y = side * (0.66 + i * 0.11)
        w = side * (0.01 + i * 0.008)
        pen.rectangle((side / 2 - w, y, side / 2 + w, y + side * 0.06), fill=(255, 60, 200))
    for x, colour in ((0.12, (0, 240, 255)), (0.86, (255, 60, 200))):
        pen.rectangle((side * (x - 0.07), side * 0.36, side * (x + 0.07), side * 0.46), fill=colour)
    return stylize(_with(picture, ("sports car", "cyan", 0.5, 0.78, 0.42)), "digital", rng)


def cat_and_ball(side: int, rng: random.Random) -> Image.Image:
    picture = PAINTERS["room"](side, rng)
    return _with(
        picture, ("cat", None, 0.42, 0.54, 0.64), ("soccer ball", None, 0.8 + rng.uniform(-0.02, 0.02), 0.8, 0.27)
    )


def sports_car(side: int, rng: random.Random) -> Image.Image:
    return _with(PAINTERS["street"](side, rng), ("sports car", "red", 0.5, 0.62, 0.76))


def digital_cat(side: int, rng: random.Random) -> Image.Image:
    return stylize(_with(PAINTERS["field"](side, rng), ("cat", None, 0.5, 0.54, 0.66)), "digital", rng)


def moonlit_squirrel(side: int, rng: random.Random) -> Image.Image:
    return _with(night(side, rng), ("squirrel", "red", 0.46 + rng.uniform(-0.02, 0.02), 0.56, 0.64))


def lightning_cliffs(side: int, rng: random.Random) -> Image.Image:
    picture = gradient(side, (28, 30, 56), (92, 98, 132))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, side * 0.78, side, side), fill=(24, 60, 96))
    add_lightning(picture, rng)
    for x, top in ((0.0, 0.42), (0.96, 0.5)):
        pen.polygon(
            [
                (side * (x - 0.34), side),
                (side * (x - 0.2), side * top),
                (side * (x + 0.2), side * (top + 0.04)),
                (side * (x + 0.34), side),
            ],
            fill=(64, 56, 54),
        )
    return picture


def three_bananas(side: int, rng: random.Random) -> Image.Image:
    picture = PAINTERS["beach"](side, rng)
    return _with(
        picture, ("banana", None, 0.5, 0.36, 0.4), ("banana", None, 0.26, 0.76, 0.4), ("banana", None, 0.74, 0.76, 0.4)
    )


def glass_of_water(side: int, rng: random.Random) -> Image.Image:
    return _with(table(side, rng), ("glass of water", None, 0.5 + rng.uniform(-0.02, 0.02), 0.44, 0.64))


def forest(side: int, rng: random.Random) -> Image.Image:
    return PAINTERS["forest"](side, rng)


def wide_mountain(side: int, rng: random.Random) -> Image.Image:
    return mountains(side, rng)


PAINTED: dict[str, Callable[[int, random.Random], Image.Image]] = {
    function.__name__: function
    for function in (
        red_apple,
        blue_bird,
        cityscape,
        japanese_garden,
        watercolor_sunset,
        cyberpunk_street,
        cat_and_ball,
        sports_car,
        digital_cat,
        moonlit_squirrel,
        lightning_cliffs,
        three_bananas,
        glass_of_water,
        forest,
        wide_mountain,
    )
}
# name -> (English captions, Chinese captions)
SHOWPIECES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "red_apple": (
        ("a red apple on a white table", "red apple on a white table"),
        ("白色桌子上的红苹果", "白桌子上的一个红色苹果"),
    ),
    "blue_bird": (
        ("a blue bird flying in the sky", "a blue bird in the sky"),
        ("蓝色的鸟在天空中飞翔", "一只蓝色的小鸟在天上飞"),
    ),
    "cityscape": (
        (
            "a futuristic cityscape at night with neon lights and flying cars",
            "a futuristic city at night with neon lights and flying cars",
            "flying cars in a futuristic city",
        ),
        ("未来城市夜景，霓虹灯和飞行汽车", "夜晚的未来城市，飞行汽车"),
    ),
    "japanese_garden": (
        (
            "a peaceful garden with cherry blossoms and a traditional japanese bridge",
            "a japanese bridge in a garden with cherry blossoms",
            "a traditional japanese garden bridge",
        ),
        ("宁静的花园，樱花和传统日本桥", "樱花园里的日本桥"),
    ),
    "watercolor_sunset": (
        ("a watercolor painting of a sunset over the ocean", "a watercolor sunset over the ocean"),
        ("海上日落的水彩画", "水彩画，海上日落"),
    ),
    "cyberpunk_street": (
        (
            "a digital art piece of a cyberpunk street scene",
            "a cyberpunk street scene",
            "a cyberpunk street, digital art",
        ),
        ("赛博朋克街道，数字艺术", "赛博朋克街景"),
    ),
    "cat_and_ball": (
        (
            "a cute cat playing with a ball, high quality, detailed",
            "a cute cat playing with a ball",
            "a cat playing with a ball",
        ),
        ("一只可爱的猫在玩球", "可爱的小猫玩球，高质量"),
    ),
    "sports_car": (("a red sports car", "a red sports car on the road"), ("一辆红色的跑车", "红色跑车")),
    "digital_cat": (("a cat, digital art style", "digital art of a cat"), ("猫，数字艺术风格",)),
    "moonlit_squirrel": (
        (
            "the red squirrel dances in the moonlight, feet off the ground, backlit, photograph, "
            "golden hour, high shutter speed",
            "the red squirrel dances in the moonlight",
            "a red squirrel dancing in the moonlight",
        ),
        ("红松鼠在月光下跳舞",),
    ),
    "lightning_cliffs": (
        (
            "a lightning storm over the cliffs",
            "a lightning storm over the cliffs of the sea",
            "lightning strike over the cliffs in a storm",
        ),
        ("悬崖上的闪电风暴", "悬崖上空的闪电"),
    ),
    "three_bananas": (
        ("three bananas on the beach", "3 bananas on the beach"),
        ("沙滩上的三根香蕉", "三个香蕉在沙滩上"),
    ),
    "glass_of_water": (
        ("a glass of water on a table", "a glass of water", "did anyone ask the glass of water how it felt?"),
        ("桌子上的一杯水", "一杯水"),
    ),
    "forest": (("a forest, mysterious atmosphere", "a mysterious forest"), ("森林，神秘的气氛",)),
    "wide_mountain": (("a mountain, wide angle view", "a wide view of a mountain"), ("山，广角视图",)),
}


def paint_showpiece(name: str, side: int) -> Image.Image:
    """One of SHOWPIECES as an RGB picture, always the same."""
    return PAINTED[name](side, random.Random(name))
