r"""Prompts that leave something to chance, as the extension Dynamic Prompts of A1111 writes them.

    {red|green|blue}        one of these            {3::red|blue}      red three times as often
    {2$$a|b|c}              two of them, "a, c"     {1-2$$ and $$a|b}  one or two, with another word between them
    __colour__              a line of colour.txt    \{ \} \__          the signs themselves

All of it may stand inside itself. The same text, seed and files give the same prompt.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Union

MAX_PICKS = 500  # of one prompt
MAX_DEPTH = 20
# No pattern here may look at a character more than a few times, or 20,000 of them would stop the studio.
_TOKEN = re.compile(
    r"\\(?P<escaped>[{}]|__)|(?P<open>\{)|(?P<close>\})|(?P<bar>\|)"
    r"|__(?P<name>[^\W_](?:[\w /-]{0,78}?[^\W_])?)__(?!_)|(?P<text>[^\\{}|_]+|.)",
    re.DOTALL,
)
_WEIGHT = re.compile(r"\s*(\d{1,4}(?:\.\d{1,3})?)::")
_COUNT = re.compile(r"\s*(?:(\d{1,3})-(\d{1,3})|(\d{1,3}))\$\$(?:([^$]{0,40})\$\$)?")
Lines = Callable[[str], Sequence[str]]  # name of a wildcard → its lines; raises ValueError if there is none
Piece = Union[str, "Wildcard", "Choice"]


@dataclass(frozen=True)
class Wildcard:
    """A line of the file of this name."""

    name: str


@dataclass
class Choice:
    """`low` to `high` of the options, each with its weight, joined by `between`."""

    options: list[list[Piece]] = field(default_factory=lambda: [[]])
    weights: list[float] = field(default_factory=list)
    low: int = 1
    high: int = 1
    between: str = ", "


def is_dynamic(text: str) -> bool:
    """True if something in the text is left to chance, or a sign of it is written with a backslash."""
    if "\\__" in text or "\\{" in text or "\\}" in text:
        return True
    return any(not isinstance(piece, str) for piece in _read(text))


def expand(text: str, seed: int, lines: Lines | None, *, max_chars: int) -> str:
    """The prompt that the seed makes of the text; a text without such signs comes back as it is. Without `lines` the
    signs of wildcards are text.

    Raises ValueError naming the wildcard that is not there or the limit: 500 choices, 20 inside each other,
    `max_chars`.
    """
    return _Expansion(Random(seed), lines, max_chars).of(_read(text), 0)  # noqa: S311 - chance, not secrecy


@dataclass
class _Expansion:
    chance: Random
    lines: Lines | None
    left: int  # characters
    picks: int = 0

    def of(self, pieces: Sequence[Piece], depth: int) -> str:
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} choices stand inside each other")
        return "".join(self._one(piece, depth) for piece in pieces)

    def _one(self, piece: Piece, depth: int) -> str:
        if isinstance(piece, Wildcard):
            if self.lines is None:
                return self._one(f"__{piece.name}__", depth)
            lines = self.lines(piece.name)
            return self.of(_read(lines[self._pick([1.0] * len(lines))]), depth + 1)
        if isinstance(piece, Choice):
            return self._chosen(piece, depth)
        self.left -= len(piece)
        if self.left < 0:
            raise ValueError("it expands to more characters than a prompt may have")
        return piece

    def _chosen(self, choice: Choice, depth: int) -> str:
        number = choice.low
        if choice.high > choice.low:
            number += self._pick([1.0] * (choice.high - choice.low + 1))
        options = list(zip(choice.weights, choice.options, strict=True))
        parts: list[str] = []
        while options and len(parts) < number:
            _, option = options.pop(self._pick([weight for weight, _ in options]))
            parts.append(self.of(option, depth + 1))
        return choice.between.join(parts)

    def _pick(self, weights: Sequence[float]) -> int:
        """A place, by weight. Only `random()` is used: it gives the same numbers in every version of Python."""
        self.picks += 1
        if self.picks > MAX_PICKS:
            raise ValueError(f"it leaves more than {MAX_PICKS} choices to chance")
        left = self.chance.random() * sum(weights)
        for place, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return place
        return len(weights) - 1


def _read(text: str) -> list[Piece]:
    """The text in pieces. Braces that hold no choice, or are not closed, are text."""
    open_choices = [Choice()]
    for token in _TOKEN.finditer(text):
        kind, now = token.lastgroup, open_choices[-1]
        if kind == "open":
            open_choices.append(Choice())
        elif kind == "close" and len(open_choices) > 1:
            open_choices.pop()
            open_choices[-1].options[-1] += _closed(now)
        elif kind == "bar" and len(open_choices) > 1:
            now.options.append([])
        elif kind == "name":
            now.options[-1].append(Wildcard(token["name"]))
        else:
            now.options[-1].append(token["escaped"] if kind == "escaped" else token[0])
    pieces = open_choices[0].options[0]
    for left in open_choices[1:]:  # never closed
        pieces.append("{")
        pieces += _joined(left)
    return pieces


def _closed(choice: Choice) -> list[Piece]:
    first = choice.options[0]
    # A count stands in the plain words that the first option begins with.
    words = ""
    while first and isinstance(first[0], str):
        words += str(first.pop(0))
    header = _COUNT.match(words)
    first.insert(0, words[header.end() :] if header else words)
    if header is None and len(choice.options) == 1:
        return ["{", *first, "}"]
    if header is not None:
        low, high = (int(number or header[3]) for number in (header[1], header[2]))
        choice.low, choice.high = min(low, high), max(low, high)
        choice.between = header[4] if header[4] is not None else choice.between
    for option in choice.options:
        weight = _WEIGHT.match(option[0]) if option and isinstance(option[0], str) else None
        choice.weights.append(float(weight[1]) if weight else 1.0)
        if weight:
            option[0] = str(option[0])[weight.end() :]
    return [choice]


def _joined(choice: Choice) -> list[Piece]:
    pieces: list[Piece] = list(choice.options[0])
    for option in choice.options[1:]:
        pieces += ["|", *option]
    return pieces
