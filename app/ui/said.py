"""What the service says in English, in another language: its sentences are recognised and their values kept."""

import re
from collections.abc import Mapping
from functools import lru_cache

LONGEST = 2000  # characters; whatever is longer is no sentence of ours


class Said:
    """`table`: an English sentence with `{}` for each value → the same in another language, with `{0}`, `{1}` …

    A value that is a sentence or word of the table itself is translated too.
    """

    def __init__(self, table: Mapping[str, str]) -> None:
        # The one with the most words of its own comes first: `{}: {}` would fit everything.
        ordered = sorted(table, key=lambda english: -len(english.replace("{}", "")))
        self._known = [(_pattern(english), table[english]) for english in ordered]
        self.find = lru_cache(maxsize=1024)(self._find)

    def _find(self, text: str) -> str | None:
        """The translation, or None for a sentence that is not in the table."""
        if len(text) > LONGEST:
            return None
        for pattern, translated in self._known:
            found = pattern.fullmatch(text)
            if found:
                return translated.format(*(self.find(value) or value for value in found.groups()))
        return None


def _pattern(english: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(re.escape(part) for part in english.split("{}")), re.DOTALL)
