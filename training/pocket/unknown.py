"""Words that mean nothing in the world are left out of a prompt, and with them the little words that led to them.

`a cat sitting on a windowsill` is read as `a cat`: an encoder that never saw a word says something between all things
of it. Where nothing else is asked for, the word stays.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, normalizers
from words import ADJECTIVES, COLOURS, SIZES, nouns

ARTICLES = "a|an|the|his|her|its|my|your|our|their|some|this|that|one|two|three|four"
LEADING = "on top of|in front of|next to|on|in|at|by|with|without|near|over|under|of|to|from|for|and|or|beside|behind"
LEADING += "|above|below|beneath|against|through|into|across|inside|outside|around|between|among|along|beyond|like|as"
USUAL = "old new modern ancient traditional bright dark light colorful warm cold soft sharp long short tall wide young"
USUAL += " wooden good bad very more most scary funny snowy rainy empty broken"


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=lambda word: (-len(word), word)))


def leaving_out(known: Iterable[str]) -> normalizers.Sequence:
    """What a tokenizer does to a lower-case English prompt when these are all words that it knows."""
    little = f"{LEADING}|{ARTICLES}"
    word = rf"(?<!-)\b(?!(?:{_any({*known, *little.split('|')})})\b)[a-z]{{2,}}(?:-[a-z]+)*\b"
    before = {*USUAL.split(), *(name for _, names, _ in COLOURS.values() for name in names)}
    before |= {name for table in (SIZES, ADJECTIVES) for names, _ in table.values() for name in names}
    said = rf"(?:(?:{_any(before)}|{word}) +)*"
    thing = _any({name for noun in nouns().values() for pair in noun.english for name in pair})
    ends = rf"(?= *(?:$|[,.;:!?]|\b(?:{LEADING})\b))"
    steps = (
        (rf"(?<=[a-z]) +(?:{LEADING}|{word}) +(?:(?:{ARTICLES}) +)*{said}{word}{ends}", ""),  # all that leads to it
        (rf"^(?:(?:{ARTICLES}) +)?{said}{word} +(?:{LEADING}) +(?=.*\b(?:{thing})\b)", ""),  # before all things
        (rf"(?<=[a-z][a-z]) +{word}(?= +(?:{ARTICLES}) )", " and"),  # what it does to another
        (rf"{word} +(?=(?:[a-z]+ +)*(?:{thing})\b)", ""),  # what is said of a thing
        (rf"(?<!\bthe)(?<!\ban)(?<=[a-z][a-z]) +{word}(?= *(?:$|[,.;:!?]|\b(?:{little})\b))", ""),  # what it does
    )
    return normalizers.Sequence([normalizers.Replace(Regex(pattern), put) for pattern, put in steps])
