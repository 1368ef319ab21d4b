r"""The prompt language people know from AUTOMATIC1111: weights and LoRA tags. Pure text, no model needed.

    (word)  ((word))     attention × 1.1, × 1.21          [word]   attention ÷ 1.1
    (word:1.3)           attention × 1.3                  \( \) \[ \] \\   the character itself
    BREAK                go on in a new chunk             <lora:name:0.8>  use a LoRA

Read as A1111 1.10 does (`modules/prompt_parser.py`, `modules/extra_networks.py`). Everything else is text, prompt
editing (`[cat:dog:0.5]`, `[cat|dog]`) too: its brackets do not count as weights.
"""

import math
import re
from dataclasses import dataclass

ROUND = 1.1
SQUARE = 1 / ROUND
MAX_WEIGHT = 10.0  # beyond it a typing mistake is likelier than a wish: `(word:12)`
MAX_LORA_WEIGHT = 10.0
MAX_NESTED = 50  # weights inside weights that `plain_words` takes away

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
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
_NUMBERED = re.compile(rf"(?<!\\)\(((?:[^()\\:]|:(?!\s*{_NUMBER}\s*\)))*):\s*({_NUMBER})\s*\)")
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
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
        made: list[Fragment] = []
        for i, (text, raw) in enumerate(zip(self._texts, self._weights, strict=True)):
            weight = 1.0 if math.isclose(raw, 1.0, abs_tol=1e-9) else raw
            if made and made[-1].weight == weight and i not in self._breaks:
                made[-1] = Fragment(made[-1].text + text, weight, made[-1].starts_chunk)
            else:
                made.append(Fragment(text, weight, i in self._breaks))
        return made or [Fragment("")]

    def _add_chunks(self, text: str) -> None:
        first, *others = _BREAK.split(text)
        self.add(first)
        for part in others:
            self._breaks.add(len(self._texts))
            self._texts.append(part)
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


def is_plain(prompt: str) -> bool:
    """True if a prompt is its bare words: no weight, no escape, no BREAK."""
    return parse_weights(prompt) == [Fragment(prompt)]


def has_weights(prompt: str) -> bool:
    """True if some words of a prompt count more or less than others, or it asks for chunks."""
    return any(piece.weight != 1.0 or piece.starts_chunk for piece in parse_weights(prompt))


def plain_words(prompt: str) -> str:
    """The prompt for a model that takes no weights: `(word:1.2)` becomes `word` and `\\(` becomes `(`.

    Brackets without a number stay as text: such models read whole sentences, with their brackets.
    """
    for _ in range(MAX_NESTED):
        last, prompt = prompt, _NUMBERED.sub(_without_weight, prompt)
        if prompt == last:
            break
    return re.sub(r"\\([()\[\]])", r"\1", prompt)


def _without_weight(found: re.Match[str]) -> str:
    return found[1] if abs(float(found[2])) <= MAX_WEIGHT else found[0]


def parse_loras(prompt: str) -> tuple[str, list[LoraTag]]:
    """The prompt without its LoRA tags, and the tags in order.

    Raises ValueError, saying what is allowed, for a weight that is no number between -10 and 10 and for a LoRA that
    is named twice.
    """
    tags: list[LoraTag] = []
    for found in _LORA.finditer(prompt):
        weights = [_lora_weight(found.group(0), text) for text in found.group(2).split(":")[1:]] or [1.0]
        if len(weights) > 2:
            raise ValueError(f"{found.group(0)}: allowed is <lora:name:weight> or <lora:name:text weight:image weight>")
        tag = LoraTag(found.group(1).strip(), weights[0], weights[-1])
        if any(tag.name == other.name for other in tags):
            raise ValueError(f"{tag}: a LoRA can be named once in a prompt")
        tags.append(tag)
    return (_LORA.sub("", prompt) if tags else prompt), tags


def _lora_weight(tag: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not abs(weight) <= MAX_LORA_WEIGHT:
        raise ValueError(f"{tag}: {text!r} is not a weight; allowed is -{MAX_LORA_WEIGHT:g} to {MAX_LORA_WEIGHT:g}")
    return weight
