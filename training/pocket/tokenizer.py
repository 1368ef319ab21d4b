"""A CLIP-format tokenizer in which every word of our world is one token, and anything else falls to pieces.

Byte-level BPE, the merges written by a small trainer of our own: first the bytes of a Chinese character become one
symbol, then the symbols of each word are merged most-frequent-pair first until every word is whole. Chinese words
exist twice, with and without the end-of-word mark, because they also stand inside unspaced runs.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

from captions import COMPLAINTS, caption
from everyday import CHINESE_WORDS, EVERYDAY
from roles import LENGTH, WORDS
from scenes import random_scene
from senses import reading
from showpieces import SHOWPIECES
from tokenizers import normalizers
from transformers import CLIPTokenizer, PreTrainedTokenizerFast
from unknown import leaving_out
from words import ADJECTIVES, COLOURS, COUNTS, PLACES, QUALITIES, SIDES, SIZES, STYLES, nouns

END = "</w>"
SPECIALS = ("<|startoftext|>", "<|endoftext|>")


@lru_cache(maxsize=1)
def _byte_letters() -> dict[int, str]:
    """CLIP's printable stand-in for each byte."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = {byte: chr(byte) for byte in kept}
    spare = 256
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(spare)
            spare += 1
    return letters


def _is_chinese(word: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in word)


def chinese_words() -> list[str]:
    """Every Chinese word of the tables, in a fixed order."""
    words = list(CHINESE_WORDS)
    for noun in nouns().values():
        words += noun.chinese
    for _, _, chinese in COLOURS.values():
        words += chinese
    return [word for word in dict.fromkeys(words) if _is_chinese(word)]


def _phrases() -> list[str]:
    phrases = [" ".join(EVERYDAY)]
    for noun in nouns().values():
        phrases += [name for pair in noun.english for name in pair]
    for _, english, chinese in COLOURS.values():
        phrases += english + chinese
    for table in (PLACES, STYLES, QUALITIES, SIDES, SIZES, COUNTS, ADJECTIVES):
        for english, chinese in table.values():
            phrases += english + chinese
    phrases += COMPLAINTS[0] + COMPLAINTS[1]
    rng = random.Random(7)
    phrases += [caption(random_scene(rng), rng, i % 2 == 0) for i in range(4000)]
    return phrases


@lru_cache(maxsize=1)
def vocabulary_words() -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """English words, Chinese words and Chinese characters that the tokenizer must know."""
    text = " ".join(_phrases()).lower()
    english = tuple(dict.fromkeys(re.findall(r"[a-z]+", text)))
    chinese = tuple(chinese_words())
    characters = tuple(dict.fromkeys(re.findall("[\u4e00-\u9fff]", text + "".join(chinese)) + list("，。！？、")))
    return english, chinese, characters


def _merge(symbols: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged, i = [], 0
    while i < len(symbols):
        if symbols[i : i + 2] == pair:
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return tuple(merged)


def _character_merges(characters: tuple[str, ...]) -> list[tuple[str, str]]:
    """Merges that rebuild each three-byte character: lead with second byte first, so none can straddle two."""
    letters = _byte_letters()
    first: dict[tuple[str, str], None] = {}
    second: dict[tuple[str, str], None] = {}
    for character in characters:
        a, b, c = (letters[byte] for byte in character.encode())
        first[(a, b)] = None
        second[(a + b, c)] = None
        second[(a + b, c + END)] = None
    return [*first, *second]


def _word_merges(sequences: list[tuple[str, ...]]) -> list[tuple[str, str]]:
    """Most frequent pair first, until every sequence is one symbol."""
    merges: list[tuple[str, str]] = []
    alive = [sequence for sequence in sequences if len(sequence) > 1]
    while alive:
        pairs: Counter[tuple[str, str]] = Counter()
        for sequence in alive:
            pairs.update(itertools.pairwise(sequence))
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        # every pair as frequent as the best one and sharing no symbol with it could go along; one a round is exact
        merges.append(best)
        alive = [_merge(s, best) if best[0] in s else s for s in alive]
        alive = [sequence for sequence in alive if len(sequence) > 1]
    return merges


def write_tokenizer(folder: Path) -> None:
    """Write vocab.json, merges.txt and the configs that CLIPTokenizer.from_pretrained reads."""
    english, chinese, characters = vocabulary_words()
    letters = _byte_letters()
    spelled = [(*(letters[ord(c)] for c in word[:-1]), letters[ord(word[-1])] + END) for word in english]
    as_symbols = {c: "".join(letters[b] for b in c.encode()) for c in characters}
    inner = [tuple(as_symbols[c] for c in word) for word in chinese]
    final = [(*word[:-1], word[-1] + END) for word in inner]
    merges = _character_merges(characters) + _word_merges(inner + final) + _word_merges(spelled)
    alphabet = sorted(letters.values())
    symbols = [*alphabet, *(letter + END for letter in alphabet), *("".join(pair) for pair in merges), *SPECIALS]
    vocabulary = {symbol: i for i, symbol in enumerate(dict.fromkeys(symbols))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = "\n".join(" ".join(pair) for pair in dict.fromkeys(merges))
    (folder / "merges.txt").write_text("#version: 0.2\n" + lines + "\n", encoding="utf-8")
    start, end = SPECIALS
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": LENGTH,
        "bos_token": start,
        "eos_token": end,
        "unk_token": end,
        "pad_token": end,
        "do_lower_case": True,
        "errors": "replace",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    named = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": end}
    (folder / "special_tokens_map.json").write_text(json.dumps(named, indent=2), encoding="utf-8")


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer at `folder`, its files written first if they are not there; it knows outside words (senses.py) and
    leaves unknown ones out (unknown.py)."""
    if not (folder / "vocab.json").exists():
        write_tokenizer(folder)
    plain = CLIPTokenizer.from_pretrained(str(folder))
    inside = plain.backend_tokenizer
    inside.normalizer = normalizers.Sequence([inside.normalizer, reading(), leaving_out(vocabulary_words()[0])])
    return PreTrainedTokenizerFast(
        tokenizer_object=inside,
        model_max_length=LENGTH,
        words_max_length=WORDS,  # read by Atelier, see app/diffusion/word_room.py
        negative_takes_out=True,  # likewise, see app/diffusion/taken_out.py
        wordless_prompts=[english[0] for english, _ in SHOWPIECES.values()],  # see app/diffusion/wordless.py
        bos_token=plain.bos_token,
        eos_token=plain.eos_token,
        unk_token=plain.unk_token,
        pad_token=plain.pad_token,
        clean_up_tokenization_spaces=False,
    )


def token_ids(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Padded as the pipeline pads them, but cut so that the layout positions stay free."""
    rows = tokenizer(texts, truncation=True, max_length=WORDS)["input_ids"]
    return [row + [tokenizer.pad_token_id] * (LENGTH - len(row)) for row in rows]
