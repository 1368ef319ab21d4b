"""What is typed into the library's search: words of the prompt, `model:`, `seed:`, `size:`, `after:`, `favourite`,
`oldest`; or `means:` and what pictures show, or `like:` and the id of one that they are to look like."""

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any

_SIZE = re.compile(r"(\d{1,5})[x×](\d{1,5})", re.IGNORECASE)
MAX_SEED_DIGITS = 10
LIKE, MEANS = "like", "means"
OLDEST = {"order": "oldest"}


@dataclass(frozen=True)
class Search:
    """`words` look into the prompts; `filters` are the service's own, by its names."""

    words: str = ""
    filters: dict[str, Any] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """True if every picture fits, in whatever order."""
        return not self.words and not self.filters.keys() - OLDEST.keys()

    @property
    def by_look(self) -> bool:
        """True if pictures are looked for by what they show."""
        return LIKE in self.filters or MEANS in self.filters


def parse(text: str) -> Search:
    """A filter that does not read as one is a word like any other, so that nothing typed is ever an error."""
    name, _, meaning = text.strip().partition(":")
    if name.lower() == MEANS and meaning.strip():
        return Search("", {MEANS: meaning.strip()})
    words: list[str] = []
    filters: dict[str, Any] = {}
    for part in text.split():
        found = _filter(part)
        if found:
            filters |= found
        else:
            words.append(part)
    return Search(" ".join(words), filters)


def _filter(part: str) -> dict[str, Any]:
    name, colon, value = part.partition(":")
    if name.lower() in ("favourite", "favorite", "收藏") and not colon:
        return {"favourite": True}
    if name.lower() in ("oldest", "最早") and not colon:
        return OLDEST
    if name == LIKE and value:
        return {LIKE: value}
    if name == "model" and value:
        return {"model": value}
    if name == "seed" and value.isascii() and value.isdigit() and len(value) <= MAX_SEED_DIGITS:
        return {"seed": int(value)}
    if name == "size" and (size := _SIZE.fullmatch(value)):
        return {"width": int(size[1]), "height": int(size[2])}
    if name == "after":
        try:
            return {"after": date.fromisoformat(value).isoformat()}
        except ValueError:
            return {}
    return {}
