"""For each style the newest picture of this library with its words: how it looks with the models of this machine."""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from app.core.errors import ServiceError
from app.core.styles import PLACE, Style
from app.ui.link import ServiceLink

MOST_STYLES = 40  # are looked up; each is a search
AGE_S = 60.0
LEAST_WORDS = 2
# The library's index knows words from three characters on, and half as many are enough to know a style by.
_WORD = re.compile(r"[^\s,.;:!?()\[\]{}<>|]{3,}")
MOST_WORDS = 12


class StylePictures:
    """Asked again after a minute. May be used by many threads."""

    def __init__(self, link: ServiceLink, now: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._now = now
        self._lock = threading.Lock()
        self._found: Mapping[str, str] = {}
        self._asked = float("-inf")

    def of(self, styles: Sequence[Style]) -> Mapping[str, str]:
        """Style name → id of a picture, for the first 40 styles that have one. What cannot be found out is left out."""
        with self._lock:
            if self._now() - self._asked > AGE_S:
                self._found = self._look(styles[:MOST_STYLES])
                self._asked = self._now()
            return self._found

    def _look(self, styles: Sequence[Style]) -> dict[str, str]:
        found = {}
        for style in styles:
            asked = words_of(style)
            if not asked:
                continue
            try:
                images, _ = self._link.ask(partial(self._link.client.images, q=asked, limit=1))
            except ServiceError:
                break
            if images:
                found[style.name] = images[0].id
        return found


def words_of(style: Style) -> str:
    """What is searched for: the words that the style adds. "" for one that adds too few to know it by."""
    known = list(dict.fromkeys(_WORD.findall(style.prompt.replace(PLACE, " "))))
    return " ".join(known[:MOST_WORDS]) if len(known) >= LEAST_WORDS else ""
