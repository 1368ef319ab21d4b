r"""The prompt language people know from AUTOMATIC1111: weights and LoRA tags. Pure text, no model needed.

    (word)  ((word))     attention × 1.1, × 1.21          [word]   attention ÷ 1.1
    (word:1.3)           attention × 1.3                  \( \) \[ \] \\   the character itself
    BREAK                go on in a new chunk             <lora:name:0.8>  use a LoRA

Read as A1111 1.10 does (`modules/prompt_parser.py`, `modules/extra_networks.py`). Everything else is text, prompt
editing (`[cat:dog:0.5]`, `[cat|dog]`) too: its brackets do not count as weights.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

ROUND = 1.1
SQUARE = 1 / ROUND
MAX_WEIGHT = 10.0  # beyond it a typing mistake is likelier than a wish: `(word:12)`
MAX_LORA_WEIGHT = 10.0
MAX_NESTED = 50  # brackets inside brackets that count; further ones are text
MAX_LORAS = 50  # of one prompt

# No pattern here may look at a character more than a few times, or 20,000 of them would stop the studio.
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_PIECE = re.compile(
    rf"""
    \\(?P<escaped>[()\[\]\\])
    | (?P<open>[(\[])
    | :\s*(?P<weight>{_NUMBER})\s*\)
    | (?P<close>[)\]])
    | (?P<text>[^\\()\[\]:]+ | : | \\)
    """,
    re.X,
)
_SQUARE_PAIR = re.compile(r"\[([^\[\]\\]*)\]")
_EDITING = re.compile(rf"\||:\s*{_NUMBER}\s*$")
_ONLY_NUMBER = re.compile(rf"\s*({_NUMBER})\s*")
_WORDS = re.compile(r"[^\\():]+|[\\():]")
_BREAK = re.compile(r"\bBREAK\b")
_LORA = re.compile(r"<lora:([^<>:]+)((?::[^<>:]*)*)>")


@dataclass(frozen=True)
class Fragment:
    """A piece of a prompt and its weight; 1.0 is neutral. `starts_chunk` is true behind the word BREAK."""

    text: str
    weight: float = 1.0
    starts_chunk: bool = False


@dataclass(frozen=True)
class LoraTag:
    """`<lora:name:0.8>`, or `<lora:name:0.8:0.5>` with weights for text encoders and image model apart."""

    name: str
    text_weight: float = 1.0
    image_weight: float = 1.0

    def __str__(self) -> str:
        """The tag as a prompt has it."""
        weights = [self.text_weight] if self.text_weight == self.image_weight else [self.text_weight, self.image_weight]
        return f"<lora:{':'.join([self.name, *(f'{weight:g}' for weight in weights)])}>"


def parse_weights(prompt: str) -> list[Fragment]:
    """The fragments of a prompt, neighbours of equal weight joined. Never empty."""
    made = _Weighted()
    at = 0
    while at < len(prompt):
        piece = _PIECE.match(prompt, at)
        editing = _SQUARE_PAIR.match(prompt, at)
        if editing and _EDITING.search(editing[1]):
            made.add(editing[0])
            at = editing.end()
        elif piece:
            made.take(piece)
            at = piece.end()
    return made.fragments()


class _Weighted:
    """Texts and their weights so far, and where the open brackets began."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._weights: list[float] = []
        self._breaks: set[int] = set()
        self._opened: dict[str, list[int]] = {"(": [], "[": []}

    def add(self, text: str) -> None:
        """A piece of text, of weight 1 for now."""
        if text:
            self._texts.append(text)
            self._weights.append(1.0)

    def take(self, piece: re.Match[str]) -> None:
        """One match of `_PIECE`. A closing bracket that nothing opened is text, and so is a weight too large."""
        found, number = piece.group(0), piece["weight"]
        if piece["escaped"]:
            self.add(piece["escaped"])
        elif piece["open"] and len(self._opened[found]) == MAX_NESTED:
            self.add(found)
        elif piece["open"]:
            self._opened[found].append(len(self._texts))
        elif number is not None and self._opened["("] and abs(float(number)) <= MAX_WEIGHT:
            self._multiply("(", float(number))
        elif number is not None and self._opened["("]:
            self.add(found[:-1])
            self._multiply("(", ROUND)
        elif found == ")" and self._opened["("]:
            self._multiply("(", ROUND)
        elif found == "]" and self._opened["["]:
            self._multiply("[", SQUARE)
        else:
            self._add_chunks(found)

    def fragments(self) -> list[Fragment]:
        """What was taken, neighbours of equal weight joined; brackets still open end here."""
        self._close_all()
        groups: list[tuple[list[str], float, bool]] = []
        for i, (text, raw) in enumerate(zip(self._texts, self._weights, strict=True)):
            weight = 1.0 if math.isclose(raw, 1.0, abs_tol=1e-9) else raw
            if groups and groups[-1][1] == weight and i not in self._breaks:
                groups[-1][0].append(text)
            else:
                groups.append(([text], weight, i in self._breaks))
        return [Fragment("".join(texts), weight, starts) for texts, weight, starts in groups] or [Fragment("")]

    def _add_chunks(self, text: str) -> None:
        first, *others = _BREAK.split(text)
        self.add(first.rstrip() if others else first)
        for number, part in enumerate(others, 1):
            self._breaks.add(len(self._texts))
            self._texts.append(part.lstrip() if number == len(others) else part.strip())
            self._weights.append(1.0)

    def _close_all(self) -> None:
        # In one pass: thousands of open brackets must not cost thousands of passes.
        factors = [(start, ROUND) for start in self._opened["("]] + [(start, SQUARE) for start in self._opened["["]]
        self._opened = {"(": [], "[": []}
        factors.sort()
        at, product = 0, 1.0
        for i in range(len(self._weights)):
            while at < len(factors) and factors[at][0] <= i:
                product *= factors[at][1]
                at += 1
            self._weights[i] *= product

    def _multiply(self, kind: str, factor: float) -> None:
        for i in range(self._opened[kind].pop(), len(self._weights)):
            self._weights[i] *= factor


class Prompt:
    """A prompt that is read once, however many ask about it: `text` is its words without the LoRA tags `loras`."""

    def __init__(self, text: str, loras: Sequence[LoraTag] = ()) -> None:
        self.text, self.loras = text, tuple(loras)

    @classmethod
    def read(cls, written: str) -> Self:
        """The prompt as it was written. Raises ValueError as `parse_loras` does."""
        return cls(*parse_loras(written))

    @cached_property
    def fragments(self) -> list[Fragment]:
        """The words with their weights; never empty."""
        return parse_weights(self.text)

    @property
    def is_plain(self) -> bool:
        """True if it is its bare words: no weight, no escape, no BREAK."""
        return self.fragments == [Fragment(self.text)]

    @property
    def has_weights(self) -> bool:
        """True if some words count more or less than others, or it asks for chunks."""
        return any(piece.weight != 1.0 or piece.starts_chunk for piece in self.fragments)

    @cached_property
    def plain_words(self) -> str:
        """The words for a model that takes no weights."""
        return plain_words(self.text)


def plain_words(prompt: str) -> str:
    """The prompt for a model that takes no weights: `(word:1.2)` becomes `word` and `\\(` becomes `(`.

    Brackets without a number stay as text: such models read whole sentences, with their brackets.
    """
    words = _Words()
    for piece in _WORDS.finditer(prompt):
        words.take(piece[0])
    return re.sub(r"\\([()\[\]])", r"\1", words.text())


class _Words:
    """The words of a prompt so far, and where its brackets that are still open began. Each piece is looked at once."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._open: list[int] = []  # the place of each open bracket
        self._pure: list[bool] = []  # nothing inside it but text and weights that were taken away
        self._colons: list[int] = []  # the places of the colons that may begin a weight

    def take(self, piece: str) -> None:
        """A run of text, or one of the four signs."""
        escaped = bool(self._pieces) and self._pieces[-1] == "\\"
        if piece == "(" and not escaped:
            self._open.append(len(self._pieces))
            self._pure.append(True)
        elif piece == ":":
            self._colons.append(len(self._pieces))
        elif piece in "\\(" and self._pure:
            self._pure[-1] = False
        elif piece == ")" and self._open:
            self._close()
            return
        self._pieces.append(piece)

    def text(self) -> str:
        """All that is left."""
        return "".join(self._pieces)

    def _close(self) -> None:
        start, pure = self._open.pop(), self._pure.pop()
        inside = bool(self._colons) and self._colons[-1] > start
        number = _ONLY_NUMBER.fullmatch("".join(self._pieces[self._colons[-1] + 1 :])) if pure and inside else None
        if number and abs(float(number[1])) <= MAX_WEIGHT:
            del self._pieces[self._colons.pop() :]
            self._pieces[start] = ""
            return
        self._pieces.append(")")
        if self._pure:
            self._pure[-1] = False


def parse_loras(prompt: str) -> tuple[str, list[LoraTag]]:
    """The prompt without its LoRA tags, and the tags in order.

    Raises ValueError, saying what is allowed, for a weight that is no number between -10 and 10, for a LoRA that is
    named twice and for more than 50.
    """
    tags: dict[str, LoraTag] = {}
    for found in _LORA.finditer(prompt):
        if len(tags) == MAX_LORAS:
            raise ValueError(f"allowed are at most {MAX_LORAS} LoRAs in a prompt")
        weights = [_lora_weight(found.group(0), text) for text in found.group(2).split(":")[1:]] or [1.0]
        if len(weights) > 2:
            raise ValueError(f"{found.group(0)}: allowed is <lora:name:weight> or <lora:name:text weight:image weight>")
        tag = LoraTag(found.group(1).strip(), weights[0], weights[-1])
        if tag.name in tags:
            raise ValueError(f"{tag}: a LoRA can be named once in a prompt")
        tags[tag.name] = tag
    return (_LORA.sub("", prompt) if tags else prompt), list(tags.values())


def _lora_weight(tag: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not abs(weight) <= MAX_LORA_WEIGHT:
        raise ValueError(f"{tag}: {text!r} is not a weight; allowed is -{MAX_LORA_WEIGHT:g} to {MAX_LORA_WEIGHT:g}")
    return weight
