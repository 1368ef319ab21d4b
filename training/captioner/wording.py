"""What the captioner says of a scene: a wording in English, one in Chinese, and the thing read back out of it.

A caption is a list of pieces, which are the tokens: English words begin with a space (▁) unless they come first,
Chinese ones stand together. What a picture does not show is not said: no small or big, no left or right of two things.
"""

from __future__ import annotations

from functools import cache

from draw import natural_colour
from scenes import Scene, Thing
from showpieces import SHOWPIECES
from words import COLOURS, MEASURES, PLACES, STYLES, nouns

LANGUAGES = ("en", "zh")
SPACE = "▁"
SPECIAL = ("<pad>", "<end>", "<en>", "<zh>", "<unk>")
NUMBERS = ({1: "a", 2: "two", 3: "three", 4: "four"}, {1: "一", 2: "两", 3: "三", 4: "四"})
SPOILED = {
    "blurry": (", blurry", "，模糊"), "low": (", low quality", "，低质量"),
    "watermark": (", with a watermark", "，有水印"),
}  # fmt: skip
UNKNOWN = ("nothing that I know", "我不认识的东西")  # said of what is not of the world
PLURAL = {"grapes", "noodles", "french fries", "scissors", "glasses", "headphones", "jeans"}  # take no article
MEASURED = {key: word for key, word in MEASURES.items() if key != "clothing"}  # which differ too much


def seen_colour(thing: Thing) -> str | None:
    """The colour that is seen: the one asked for, or the glyph's own where it has one."""
    return thing.colour or natural_colour(nouns()[thing.noun].glyph)


def caption(scene: Scene | None, language: str) -> str:
    """The sentence."""
    return "".join(pieces(scene, language)).replace(SPACE, " ")


def pieces(scene: Scene | None, language: str) -> list[str]:
    """The sentence as tokens."""
    chinese = language == "zh"
    if scene is None:
        return [UNKNOWN[1]] if chinese else _english(UNKNOWN[0])
    return _chinese(scene) if chinese else _english(_sentence(scene))


def _english(text: str) -> list[str]:
    spaced = text.replace(",", " ,").split()
    return [word if i == 0 or word == "," else SPACE + word for i, word in enumerate(spaced)]


def _counted(thing: Thing) -> str:
    one, many = nouns()[thing.noun].english[0]
    words = " ".join(filter(None, (seen_colour(thing), one if thing.count == 1 else many)))
    if thing.count == 1 and one in PLURAL:
        return words
    if thing.count == 1:
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
    return f"{NUMBERS[0][thing.count]} {words}"


def _sentence(scene: Scene) -> str:
    """In English."""
    if scene.showpiece:
        return SHOWPIECES[scene.showpiece][0][0]
    first, second = _in_order(scene)
    text = _counted(first) if first else ""
    if first and second:
        text += (" above " if scene.relation in ("above", "below") else " and ") + _counted(second)
    article = "an" if (scene.backdrop or "")[:1] in tuple("aeiou") else "a"
    if scene.place == "table" and scene.backdrop:
        text += f" on {article} {scene.backdrop} table"
    elif scene.place:
        text += " " + PLACES[scene.place][0][0]
    elif scene.backdrop:
        text += f" on {article} {scene.backdrop} background"
    if not first:
        text = "a picture" + text
    if scene.style:
        text = STYLES[scene.style][0][0].format(text)
    return text + (SPOILED[scene.quality][0] if scene.quality in SPOILED else "")


def _in_order(scene: Scene) -> tuple[Thing | None, Thing | None]:
    """The things as they stand: from the left, or from above."""
    first, second = (*scene.things, None, None)[:2]
    return (second, first) if second and scene.relation in ("right of", "below") else (first, second)


def _chinese_counted(thing: Thing) -> list[str]:
    noun = nouns()[thing.noun]
    colour = seen_colour(thing)
    named = [COLOURS[colour][2][0], "的"] if colour else []
    return [NUMBERS[1][thing.count], MEASURED.get(noun.category, "个"), *named, noun.chinese[0]]


def _chinese(scene: Scene) -> list[str]:
    if scene.showpiece:
        return list(SHOWPIECES[scene.showpiece][1][0])
    first, second = _in_order(scene)
    said = _chinese_counted(first) if first else ["一张图片"]
    if first and second:
        said += ["在", *_chinese_counted(second), "的上方"] if scene.relation in ("above", "below") else [
            "和", *_chinese_counted(second)]  # fmt: skip
    if scene.place == "table" and scene.backdrop:
        said += ["在", COLOURS[scene.backdrop][2][0], "的", "桌子上"]
    elif scene.place:
        said.append(PLACES[scene.place][1][0])
    elif scene.backdrop:
        said += ["，", COLOURS[scene.backdrop][2][0], "背景"]
    if scene.style:
        before, _, after = STYLES[scene.style][1][0].partition("{}")
        said = [*filter(None, [before]), *said, *filter(None, [after])]
    return said + ([SPOILED[scene.quality][1]] if scene.quality in SPOILED else [])


@cache
def vocabulary() -> tuple[str, ...]:
    """Every token there is, in a fixed order."""
    found = dict.fromkeys(SPECIAL)
    scenes: list[Scene | None] = [None, *(Scene(showpiece=name) for name in SHOWPIECES)]
    scenes += [Scene((Thing(noun, None, count),)) for noun in nouns() for count in NUMBERS[0]]
    scenes += [Scene((Thing("cat", colour),), backdrop=colour) for colour in COLOURS]
    scenes += [Scene((Thing("cat"), Thing("dog")), "and"), Scene((Thing("cat"), Thing("dog")), "above")]
    scenes += [Scene((Thing("cat"),), place="table", backdrop=colour) for colour in COLOURS]
    scenes += [Scene((), place=place) for place in PLACES] + [Scene((), backdrop=colour) for colour in COLOURS]
    scenes += [Scene((Thing("jeans", colour),)) for colour in COLOURS]
    scenes += [Scene((Thing("egg"),), style=style) for style in STYLES]
    scenes += [Scene((Thing("egg"),), quality=quality) for quality in SPOILED]
    for scene in scenes:
        for language in LANGUAGES:
            found |= dict.fromkeys(pieces(scene, language))
    for word in [piece for piece in found if piece.isascii() and piece not in SPECIAL and piece != ","]:
        found.setdefault(SPACE + word)
    return tuple(found)


@cache
def _beginnings(language: str) -> dict[str, Thing]:
    """How a sentence begins that names so many of a thing in a colour."""
    things = [Thing(noun, colour, n) for noun in nouns() for colour in (None, *COLOURS) for n in NUMBERS[0]]
    return {("".join(_chinese_counted(thing)) if language == "zh" else _counted(thing)): thing for thing in things}


def thing_of(text: str, language: str) -> Thing | None:
    """The first thing that a caption names, with its count and colour, or None."""
    known = _beginnings(language)
    ends = range(len(text), 0, -1)
    whole = [end for end in ends if language == "zh" or not text[end : end + 1].isalpha()]
    return next((known[text[:end]] for end in whole if text[:end] in known), None)
