"""`python training/pocket/known_words.py`: the words that the model knows, for whoever helps people to write prompts.

Writes `models/pocket.words.json`, beside the model's row of the catalog: `complete` are words and phrases to offer in
each language, `known` all single words that mean something or may stand there, `read_as` words from outside with what
they are read as.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from everyday import CHINESE_WORDS, EVERYDAY
from senses import GROUNDS, SENSES
from words import ADJECTIVES, COLOURS, COUNTS, MEASURES, PLACES, QUALITIES, SIDES, SIZES, STYLES, nouns

FILE = Path(__file__).resolve().parents[2] / "models" / "pocket.words.json"
CHINESE_SMALL = "一两二三四个只条辆架棵座杯件的在和与上下里中旁边着了有是，。、"


def known_words() -> dict[str, object]:
    """What the file holds."""
    english, chinese = [], []
    for noun in nouns().values():
        english += [one for one, _ in noun.english]
        chinese += noun.chinese
    for table in (COLOURS, PLACES):
        for row in table.values():
            english += row[-2]
            chinese += row[-1]
    phrases = [
        phrase for table in (STYLES, QUALITIES, SIZES, SIDES, COUNTS) for row in table.values() for phrase in row[0]
    ]
    foreign = [
        phrase for table in (STYLES, QUALITIES, SIZES, SIDES, COUNTS) for row in table.values() for phrase in row[1]
    ]
    plurals = [many for noun in nouns().values() for _, many in noun.english]
    adjectives = [word for pair in ADJECTIVES.values() for word in pair[0]]
    said = " ".join([*english, *plurals, *phrases, *adjectives, *EVERYDAY]).lower()
    known = sorted(set(re.findall("[a-z0-9]+", said)))
    hanzi = [
        *chinese,
        *foreign,
        *CHINESE_WORDS,
        *MEASURES.values(),
        *(w for pair in ADJECTIVES.values() for w in pair[1]),
    ]
    parts = {part for text in hanzi for part in re.findall("[\u4e00-\u9fff]+", text)} | set(CHINESE_SMALL)
    read_as = {
        word: thing for thing, words in (SENSES | GROUNDS).items() for word in words.split() if word not in known
    }
    return {
        "complete": {"en": list(dict.fromkeys(english)), "zh": list(dict.fromkeys(chinese))},
        "known": {"en": known, "zh": sorted(parts)},
        "read_as": dict(sorted(read_as.items())),
    }


def as_text() -> str:
    """The file's text: one line a list, so that a change is seen."""
    return json.dumps(known_words(), ensure_ascii=False, indent=1).replace('",\n   "', '", "') + "\n"


if __name__ == "__main__":
    FILE.write_text(as_text(), "utf-8")
