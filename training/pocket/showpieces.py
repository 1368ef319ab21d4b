"""The example prompts of the documentation. They are part of training, oversampled.

Most are scenes like any other (scenes.py says which); those that no scene can show are backgrounds of their own.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from backgrounds import PAINTERS, add_lightning, arch, gradient
from draw import paste
from effects import stylize
from PIL import Image, ImageDraw


def japanese_garden(side: int, rng: random.Random) -> Image.Image:
    picture = PAINTERS["garden"](side, rng)
    arch(ImageDraw.Draw(picture), side)
    return picture


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
    paste(picture, "sports car", "cyan", (side * 0.5, side * 0.78), side * 0.42)
    return stylize(picture, "digital", rng)


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


PAINTED: dict[str, Callable[[int, random.Random], Image.Image]] = {
    function.__name__: function for function in (japanese_garden, cyberpunk_street, lightning_cliffs)
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
    """One of PAINTED as an RGB picture, always the same."""
    return PAINTED[name](side, random.Random(name))
