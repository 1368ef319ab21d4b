"""The words of the pocket model's world: nouns, colours, places, styles and the words people use for them.

The table of nouns is parsed once, on first use. Their natural colours are measured, not written (see draw.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from noun_table import NOUN_TABLE

# name -> (red, green, blue) 0-255, English words, Chinese words (with 色 where people say it)
COLOURS: dict[str, tuple[tuple[int, int, int], tuple[str, ...], tuple[str, ...]]] = {
    "red": ((220, 36, 36), ("red", "scarlet", "crimson"), ("红色", "红")),
    "orange": ((248, 138, 24), ("orange", "ginger"), ("橙色", "橘色")),
    "yellow": ((250, 214, 30), ("yellow", "golden"), ("黄色", "黄", "金色")),
    "green": ((44, 160, 58), ("green", "emerald"), ("绿色", "绿")),
    "cyan": ((38, 198, 208), ("cyan", "turquoise", "teal"), ("青色",)),
    "blue": ((34, 92, 224), ("blue", "navy"), ("蓝色", "蓝")),
    "purple": ((134, 52, 190), ("purple", "violet"), ("紫色", "紫")),
    "pink": ((250, 130, 180), ("pink", "rosy"), ("粉色", "粉红色")),
    "brown": ((132, 80, 42), ("brown", "chestnut"), ("棕色", "褐色")),
    "black": ((34, 34, 38), ("black",), ("黑色", "黑")),
    "white": ((244, 244, 242), ("white",), ("白色", "白")),
    "gray": ((138, 140, 146), ("gray", "grey", "silver"), ("灰色", "银色")),
}

# place -> English phrases, Chinese phrases. The drawing of each is backgrounds.py.
PLACES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sky": (
        ("in the sky", "flying in the sky", "in the blue sky", "against the sky", "up in the clouds"),
        ("在天空中", "在天上", "在蓝天上"),
    ),
    "night": (
        ("at night", "in the night sky", "under the stars", "in the moonlight", "on a starry night", "under the moon"),
        ("在夜空中", "在夜晚", "在月光下", "在星空下"),
    ),
    "city": (
        (
            "in a city at night",
            "in the city",
            "in front of a city skyline",
            "in a futuristic city",
            "in a neon city at night",
        ),
        ("在城市里", "在夜晚的城市", "在霓虹城市"),
    ),
    "street": (
        ("on the street", "on a road", "driving on the road", "in the street", "on a city street"),
        ("在街道上", "在路上", "在马路上"),
    ),
    "garden": (
        ("in a garden", "in the park", "in a garden with cherry blossoms", "among flowers"),
        ("在花园里", "在公园里", "在樱花园里"),
    ),
    "beach": (("on the beach", "at the beach", "on the sand", "by the sea"), ("在沙滩上", "在海滩上", "在海边")),
    "sea": (
        ("in the sea", "on the water", "in the ocean", "on the ocean", "on a lake"),
        ("在海上", "在大海里", "在湖上"),
    ),
    "underwater": (
        ("underwater", "swimming in the sea", "under the sea", "swimming underwater"),
        ("在水下", "在海底", "在水里游泳"),
    ),
    "mountains": (
        ("in the mountains", "in front of mountains", "on a mountain", "with mountains behind"),
        ("在山上", "在山里", "在山前"),
    ),
    "snow": (("in the snow", "in winter", "on snow", "in a snowy landscape"), ("在雪地里", "在雪中", "在冬天")),
    "forest": (("in a forest", "in the woods", "in the forest", "among trees"), ("在森林里", "在树林里")),
    "desert": (("in the desert", "in a desert", "on a sand dune"), ("在沙漠里", "在沙漠中")),
    "space": (("in space", "in outer space", "among the planets", "in the galaxy"), ("在太空中", "在宇宙里")),
    "room": (("in a room", "in the living room", "indoors", "at home", "on the floor"), ("在房间里", "在客厅里")),
    "table": (("on a table", "on the table", "on a wooden table", "on a desk"), ("在桌子上", "在桌上", "在木桌上")),
    "field": (("on the grass", "in a field", "in a meadow", "on a green field"), ("在草地上", "在田野里", "在草原上")),
    "sunset": (("at sunset", "in front of a sunset", "at dusk", "at sunrise"), ("在夕阳下", "在日落时", "在黄昏")),
    "rain": (("in the rain", "on a rainy day", "under rain"), ("在雨中", "在雨天")),
}

# style -> English phrases ({} is the rest of the caption), Chinese phrases
STYLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "watercolor": (
        ("a watercolor painting of {}", "{}, watercolor", "{}, watercolour style", "watercolor of {}"),
        ("{}，水彩画", "水彩画，{}", "水彩风格，{}"),
    ),
    "pixel": (
        ("pixel art of {}", "{}, pixel art", "{}, 8-bit style", "a pixel art picture of {}"),
        ("{}，像素画", "像素风格，{}"),
    ),
    "sketch": (
        ("a pencil sketch of {}", "{}, pencil drawing", "{}, sketch", "a black and white drawing of {}"),
        ("{}，铅笔素描", "素描，{}"),
    ),
    "neon": (
        ("a neon picture of {}", "{}, neon", "{}, cyberpunk style", "{}, neon lights"),
        ("{}，霓虹风格", "赛博朋克风格，{}"),
    ),
    "digital": (
        ("{}, digital art style", "a digital art piece of {}", "{}, digital art", "digital painting of {}"),
        ("{}，数字艺术", "数字艺术风格，{}"),
    ),
    "photo": (
        ("a photo of {}", "{}, photorealistic", "a photograph of {}", "{}, realistic photo"),
        ("{}，照片", "{}的照片", "写实风格，{}"),
    ),
}

# quality -> English, Chinese. "good" leaves the picture alone; the others spoil it, so that a negative prompt works.
QUALITIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "good": (
        (
            "high quality, detailed",
            "high quality",
            "detailed",
            "sharp, best quality",
            "highly detailed, 4k",
            "masterpiece, sharp focus",
            "beautiful",
        ),
        ("高质量", "高清，细节丰富", "精美"),
    ),
    "blurry": (("blurry", "blurred", "out of focus", "blurry, low quality"), ("模糊", "模糊，低质量")),
    "low": (
        ("low quality", "bad quality, noisy", "ugly, low quality", "worst quality", "jpeg artifacts, grainy"),
        ("低质量", "劣质，噪点"),
    ),
    "watermark": (("watermark", "watermarked", "with a watermark", "text, watermark"), ("水印", "文字，水印")),
}
BAD_QUALITIES = ("blurry", "low", "watermark")

SIZES = {"small": (("small", "tiny", "little"), ("小", "小小的")), "big": (("big", "large", "huge"), ("大", "巨大的"))}
SIDES = {
    "left": (("on the left", "on the left side"), ("在左边", "在左侧")),
    "right": (("on the right", "on the right side"), ("在右边", "在右侧")),
    "top": (("at the top", "in the upper part"), ("在上方", "在上面")),
    "bottom": (("at the bottom", "in the lower part"), ("在下方", "在下面")),
}
COUNTS = {
    1: (("a", "one", "the", ""), ("一", "")),
    2: (("two", "2", "a pair of"), ("两", "2")),
    3: (("three", "3"), ("三", "3")),
    4: (("four", "4"), ("四", "4")),
}
# adjectives that change nothing in the picture, by category group, so that people may write as they speak
ADJECTIVES = {
    "animal": (("cute", "adorable", "happy", "fluffy", "lovely"), ("可爱的", "开心的")),
    "food": (("fresh", "delicious", "ripe", "tasty"), ("新鲜的", "美味的")),
    "other": (("beautiful", "nice", "old", "new", "shiny", "single"), ("漂亮的", "旧", "新的")),
}
ADJECTIVE_GROUP = {
    "animal": "animal",
    "bird": "animal",
    "sea": "animal",
    "person": "animal",
    "fruit": "food",
    "food": "food",
    "drink": "food",
}
MEASURES = {
    "animal": "只",
    "bird": "只",
    "sea": "条",
    "vehicle": "辆",
    "flyer": "架",
    "boat": "艘",
    "plant": "棵",
    "building": "座",
    "drink": "杯",
    "clothing": "件",
    "person": "个",
}


@dataclass(frozen=True)
class Noun:
    """One thing that can be drawn: `key` (first English name), its glyph and every name people call it."""

    key: str
    glyph: str
    category: str
    english: tuple[tuple[str, str], ...]  # (singular, plural) pairs, synonyms after the key
    chinese: tuple[str, ...]


def plural_of(name: str) -> str:
    """The regular English plural."""
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")


def _parse_names(cell: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for name in cell.split(","):
        one, _, many = name.strip().partition(">")
        pairs.append((one, many or plural_of(one)))
    return tuple(pairs)


@lru_cache(maxsize=1)
def nouns() -> dict[str, Noun]:
    """Every noun by its key, in the table's order."""
    table: dict[str, Noun] = {}
    category = ""
    for line in NOUN_TABLE.strip().splitlines():
        if line.startswith("#"):
            category = line[1:].strip()
            continue
        glyph, english, chinese = (cell.strip() for cell in line.split("|"))
        names = _parse_names(english)
        table[names[0][0]] = Noun(
            names[0][0], glyph, category, names, tuple(word.strip() for word in chinese.split(","))
        )
    return table


def held_out(noun: str, colour: str | None, backdrop: str | None) -> bool:
    """True for the one in ten object x colour x background compositions that training never sees."""
    if colour is None or backdrop is None:
        return False
    return hashlib.sha256(f"{noun}|{colour}|{backdrop}".encode()).digest()[0] % 10 == 0
