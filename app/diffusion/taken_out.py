"""A negative prompt for encoders that paint what they read, as `pocket`'s does: guidance away from a dog would leave a
dog's ghost, so the words of the negative prompt are taken out of the prompt instead.

Their tokenizer says so: `negative_takes_out` in its `tokenizer_config.json`. A whole thing goes with its article,
number, colour and the word that joins it (`a cat and a dog` without `dog` is `a cat`); a word before a thing goes alone
(`a red cat` without `red` is `a cat`).
"""

import re
from typing import Any

_PARTS = re.compile(r"[,，、;；\n]+")
_ARTICLES = {"a", "an", "the", "no", "any", "one"}
_JOINS = {"and", "with", "next", "to", "beside", "above", "over", "below", "under", "beneath", "和", "与", "旁边", "有"}
_SIDES = {"on", "the", "left", "right", "top", "side"}  # `on the left of`
_ENDS = {*_JOINS, "on", "in", "at", "by", "near", "of", ",", "，", ".", "。", "在"}
_END = "</w>"  # CLIP's mark of a word's last piece
Token = tuple[str, int, int]  # as the encoder reads it; from where to where it stands in the text


def takes_out(tokenizer: Any) -> bool:
    """True if this model's negative prompt works by taking its words out of the prompt."""
    return (getattr(tokenizer, "init_kwargs", None) or {}).get("negative_takes_out") is True


def taken_out(tokenizer: Any, prompt: str, negative: str) -> tuple[str, list[str]]:
    """The prompt without what the negative prompt names, and those words as they stood in it, each once; the prompt as
    it is where nothing would be left."""
    tokens, gone, said = _tokens(tokenizer, prompt), set[int](), dict[str, None]()
    for part in _PARTS.split(negative):
        words = [token[0] for token in _tokens(tokenizer, part)]
        while words and words[0] in _ARTICLES:
            words.pop(0)
        for first in range(len(tokens) - len(words) + 1 if words else 0):
            last = first + len(words)
            if all(_alike(token[0], word) for token, word in zip(tokens[first:last], words, strict=True)):
                if last < len(tokens) and tokens[last][0] == "的":
                    last += 1
                gone |= set(range(_begin(tokens, first, last), last))
                said[prompt[tokens[first][1] : tokens[first + len(words) - 1][2]]] = None
    left = _without(prompt, tokens, gone) if gone else prompt
    return (left, list(said)) if left else (prompt, [])


def _tokens(tokenizer: Any, text: str) -> list[Token]:
    read = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    names = tokenizer.convert_ids_to_tokens(read["input_ids"])
    words = [tokenizer.convert_tokens_to_string([name.removesuffix(_END)]).strip().lower() for name in names]
    found: list[Token] = []
    for word, (_, end) in zip(words, read["offset_mapping"], strict=True):
        begin = found[-1][2] if found else 0  # where a word is read as another, what is told points into it
        begin += len(text[begin:end]) - len(text[begin:end].lstrip())
        found.append((word, begin, end))
    return found


def _alike(one: str, other: str) -> bool:
    return one == other or one == f"{other}s" or other == f"{one}s"


def _begin(tokens: list[Token], first: int, last: int) -> int:
    """Where that which goes begins: with a thing goes what is said of it."""
    if last < len(tokens) and tokens[last][0] not in _ENDS:
        return first
    while first and tokens[first - 1][0] not in _ENDS:
        first -= 1
    return first


def _without(text: str, tokens: list[Token], gone: set[int]) -> str:
    kept = [number for number in range(len(tokens)) if number not in gone]
    falling = False  # joins that have nothing behind them, or nothing before
    for at in reversed(range(len(kept))):
        word, behind = tokens[kept[at]][0], tokens[kept[at + 1]][0] if at + 1 < len(kept) else None
        ends = behind is None or behind in _ENDS
        falling = ends and (word in _JOINS or word == "of" or (falling and word in _SIDES))
        if falling:
            del kept[at]
    while kept and tokens[kept[0]][0] in {*_JOINS, ",", "，"} and 0 in gone:
        del kept[0]
    pieces = [text[tokens[n][1] : tokens[n + 1][1] if n + 1 < len(tokens) else len(text)] for n in kept]
    return "".join(pieces).strip(" ,，")
