"""Captions: the many ways, English and Chinese, in which people ask for one scene."""

from __future__ import annotations

import random

from scenes import Scene, Thing
from words import (
    ADJECTIVE_GROUP,
    ADJECTIVES,
    BAD_QUALITIES,
    COLOURS,
    COUNTS,
    MEASURES,
    PLACES,
    QUALITIES,
    SIDES,
    SIZES,
    STYLES,
    nouns,
)

RELATIONS = {
    "and": (("{a} and {b}", "{a} with {b}", "{a} next to {b}", "{a} beside {b}"), ("{a}和{b}", "{a}旁边有{b}")),
    "left of": (
        ("{a} on the left of {b}", "{a} to the left of {b}", "{a} left of {b}"),
        ("{a}在{b}的左边", "{a}在{b}左侧"),
    ),
    "right of": (
        ("{a} on the right of {b}", "{a} to the right of {b}", "{a} right of {b}"),
        ("{a}在{b}的右边", "{a}在{b}右侧"),
    ),
    "above": (("{a} above {b}", "{a} over {b}", "{a} on top of {b}"), ("{a}在{b}的上方", "{a}在{b}上面")),
    "below": (("{a} below {b}", "{a} under {b}", "{a} beneath {b}"), ("{a}在{b}的下方", "{a}在{b}下面")),
    "playing with": (("{a} playing with {b}", "{a} chasing {b}"), ("{a}在玩{b}",)),
}
# Said of spoiled scenes without naming the thing: what people write into a negative prompt.
COMPLAINTS = (
    (
        "blurry, low quality, watermark",
        "low quality, blurry, watermark",
        "worst quality, blurry",
        "blurry, low quality, watermark, deformed, ugly",
        "low quality, watermark, text",
    ),
    ("模糊，低质量，水印", "低质量，模糊", "低质量，水印"),
)
OPENINGS = ("", "", "", "", "", "a picture of ", "an image of ", "draw ", "a drawing of ")
OPENINGS_CHINESE = ("", "", "", "", "画", "一张图片，")


def _article(words: str, rng: random.Random) -> str:
    article = rng.choice(COUNTS[1][0])
    if article == "a" and words[:1] in "aeiou":
        article = "an"
    return f"{article} {words}" if article else words


def english_thing(thing: Thing, rng: random.Random) -> str:
    """`three small red apples`, in one of its wordings."""
    noun = nouns()[thing.noun]
    one, many = noun.english[0] if rng.random() < 0.6 else rng.choice(noun.english)
    words = [one if thing.count == 1 else many]
    if thing.colour:
        names = COLOURS[thing.colour][1]
        words.insert(0, names[0] if rng.random() < 0.75 else rng.choice(names))
    group = ADJECTIVE_GROUP.get(noun.category, "other")
    if rng.random() < 0.15:
        words.insert(0, rng.choice(ADJECTIVES[group][0]))
    if thing.size:
        words.insert(0, rng.choice(SIZES[thing.size][0]))
    if thing.count == 1:
        return _article(" ".join(words), rng)
    return f"{rng.choice(COUNTS[thing.count][0])} {' '.join(words)}"


def chinese_thing(thing: Thing, rng: random.Random) -> str:
    """`三个小的红色苹果`, in one of its wordings."""
    noun = nouns()[thing.noun]
    name = noun.chinese[0] if rng.random() < 0.6 else rng.choice(noun.chinese)
    colour = ""
    if thing.colour:
        names = COLOURS[thing.colour][2]
        colour = names[0] if rng.random() < 0.7 else rng.choice(names)
        colour += "的" if len(colour) > 1 and rng.random() < 0.6 else ""
    group = ADJECTIVE_GROUP.get(noun.category, "other")
    fond = rng.choice(ADJECTIVES[group][1]) if rng.random() < 0.15 else ""
    size = rng.choice(SIZES[thing.size][1]) if thing.size else ""
    measure = MEASURES.get(noun.category, "个") if rng.random() < 0.6 else "个"
    number = rng.choice(COUNTS[thing.count][1])
    counted = f"{number}{measure}" if number else ""
    return f"{counted}{size}{fond}{colour}{name}"


def _backdrop_english(scene: Scene, rng: random.Random) -> str:
    colour = rng.choice(COLOURS[scene.backdrop][1][:1] * 3 + COLOURS[scene.backdrop][1]) if scene.backdrop else ""
    if scene.place == "table" and colour:
        return rng.choice((f" on a {colour} table", f" on the {colour} table", f" on a {colour} desk"))
    if scene.place:
        return rng.choice((" ", " ", " ", ", ")) + rng.choice(PLACES[scene.place][0])
    if scene.backdrop:
        return rng.choice(
            (
                f" on a {colour} background",
                f" on {colour} background",
                f", {colour} background",
                f" with a {colour} background",
                f" in front of a {colour} wall",
                f" on {colour}",
            )
        )
    return rng.choice(("", "", "", " on a plain background", ", simple background"))


def _backdrop_chinese(scene: Scene, rng: random.Random) -> tuple[str, str]:
    """What goes before and what goes after the things."""
    colour = rng.choice(COLOURS[scene.backdrop][2]) if scene.backdrop else ""
    if scene.place == "table" and colour:
        where = rng.choice((f"在{colour}的桌子上", f"在{colour}桌子上"))
    elif scene.place:
        where = rng.choice(PLACES[scene.place][1])
    elif scene.backdrop:
        return rng.choice(
            (("", f"，{colour}背景"), (f"{colour}背景上的", ""), ("", f"在{colour}的背景上"), ("", f"，{colour}的背景"))
        )
    else:
        return "", ""
    return rng.choice((("", where), ("", "，" + where), (where + "的", "")))


def caption(scene: Scene, rng: random.Random, chinese: bool) -> str:
    """One wording of the scene. Spoiled scenes name what spoils them, and sometimes nothing else."""
    if scene.quality in BAD_QUALITIES and rng.random() < 0.35:
        return rng.choice(COMPLAINTS[1 if chinese else 0] + QUALITIES[scene.quality][1 if chinese else 0])
    if scene.fixed and not chinese:
        text = rng.choice(scene.fixed)
    elif scene.fixed_chinese:
        text = rng.choice(scene.fixed_chinese)
    else:
        text = _composed(scene, rng, chinese)
    if scene.style:
        text = rng.choice(STYLES[scene.style][1 if chinese else 0]).format(text)
    quality = scene.quality or ("good" if rng.random() < 0.15 else None)
    if quality:
        words = rng.choice(QUALITIES[quality][1 if chinese else 0])
        comma = "，" if chinese else ", "
        text = f"{words}{comma}{text}" if rng.random() < 0.2 else f"{text}{comma}{words}"
    return text


def _composed(scene: Scene, rng: random.Random, chinese: bool) -> str:
    column = 1 if chinese else 0
    say = chinese_thing if chinese else english_thing
    if not scene.things:
        return _empty(scene, rng, chinese)
    words = [say(thing, rng) for thing in scene.things]
    text = words[0]
    if scene.relation:
        text = rng.choice(RELATIONS[scene.relation][column]).format(a=words[0], b=words[1])
    if scene.position:
        side = rng.choice(SIDES[scene.position][column])
        text += side if chinese else " " + side
    if chinese:
        before, after = _backdrop_chinese(scene, rng)
        return rng.choice(OPENINGS_CHINESE) + before + text + after
    return rng.choice(OPENINGS) + text + _backdrop_english(scene, rng)


LANDSCAPES = {
    "sky": (("a blue sky with clouds", "the sky", "clouds in the sky"), ("天空", "蓝天白云")),
    "night": (("a night sky with stars and the moon", "a starry night", "the night sky"), ("夜空", "星空")),
    "city": (
        ("a futuristic cityscape at night with neon lights", "a city skyline at night", "a neon city"),
        ("夜晚的城市", "霓虹城市"),
    ),
    "street": (("a street", "an empty street with houses", "a city street"), ("街道", "马路")),
    "garden": (("a peaceful garden with cherry blossoms", "a garden", "a park in spring"), ("花园", "樱花园")),
    "beach": (("a beach", "a sunny beach", "a sandy beach by the sea"), ("海滩", "沙滩")),
    "sea": (("the sea", "the ocean", "waves on the ocean", "a lake"), ("大海", "海洋", "湖")),
    "underwater": (("an underwater world", "the bottom of the sea"), ("海底", "水下世界")),
    "mountains": (
        ("a mountain, wide angle view", "mountains", "a mountain landscape", "snowy mountains"),
        ("山", "雪山", "山脉"),
    ),
    "snow": (("a snowy landscape", "snow", "a winter landscape"), ("雪地", "雪景", "冬天")),
    "forest": (("a forest, mysterious atmosphere", "a forest", "a dark forest", "the woods"), ("森林", "树林")),
    "desert": (("a desert", "sand dunes", "a desert landscape"), ("沙漠", "沙丘")),
    "space": (("outer space", "space with planets", "the galaxy"), ("太空", "宇宙", "银河")),
    "room": (("a living room", "a room", "an empty room"), ("房间", "客厅")),
    "table": (("a wooden table", "a table", "an empty table"), ("桌子", "木桌")),
    "field": (("a green field", "a meadow", "grass under a blue sky"), ("草地", "田野", "草原")),
    "sunset": (("a sunset over the ocean", "a sunset", "sunrise over the sea"), ("日落", "海上日落", "夕阳")),
    "rain": (("rain", "a rainy day", "a storm"), ("下雨", "雨天")),
}


def _empty(scene: Scene, rng: random.Random, chinese: bool) -> str:
    if scene.place:
        return rng.choice(OPENINGS_CHINESE if chinese else OPENINGS) + rng.choice(
            LANDSCAPES[scene.place][1 if chinese else 0]
        )
    colour = scene.backdrop or "white"
    return f"{rng.choice(COLOURS[colour][2])}背景" if chinese else f"a {rng.choice(COLOURS[colour][1])} background"
