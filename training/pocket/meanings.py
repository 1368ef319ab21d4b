"""What single words mean, so that words of one meaning start alike in the text encoder."""

from __future__ import annotations

import re

from words import COLOURS, COUNTS, PLACES, QUALITIES, SIDES, SIZES, STYLES, nouns


def meanings() -> dict[str, str]:
    """word -> what it means, for every word that means one thing only; words of one meaning start alike."""
    said: dict[str, set[str]] = {}

    def tell(phrases: tuple[str, ...], meaning: str) -> None:
        for phrase in phrases:
            for word in re.findall("[a-z0-9]+|[\u4e00-\u9fff]+", phrase.lower()):
                said.setdefault(word.strip("在里上中的"), set()).add(meaning)
                said.setdefault(word, set()).add(meaning)

    for noun in nouns().values():
        for one, many in noun.english:
            plural = many.split()[0] if " of " in many else many.split()[-1]
            tell((one.split()[-1], plural), f"noun {noun.key}")
        tell(noun.chinese, f"noun {noun.key}")
    for name, (_, english, chinese) in COLOURS.items():
        tell(english + chinese, f"colour {name}")
    for kind, table in (
        ("place", PLACES),
        ("style", STYLES),
        ("quality", QUALITIES),
        ("side", SIDES),
        ("size", SIZES),
        ("count", COUNTS),
    ):
        for name, (english, chinese) in table.items():
            tell(english + chinese, f"{kind} {name}")
    return {word: next(iter(found)) for word, found in said.items() if len(found) == 1 and word}
