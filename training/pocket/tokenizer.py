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
from scenes import random_scene
from transformers import CLIPTokenizer
from words import ADJECTIVES, COLOURS, COUNTS, PLACES, QUALITIES, SIDES, SIZES, STYLES, nouns

LENGTH = 96  # positions the text encoder sees
LAYOUT = 64  # the last of them: padding in a normal prompt, where the text encoder lays out the picture
END = "</w>"
SPECIALS = ("<|startoftext|>", "<|endoftext|>")
EVERYDAY = [
    "with",
    "without",
    "and",
    "or",
    "of",
    "in",
    "on",
    "at",
    "to",
    "from",
    "by",
    "for",
    "the",
    "a",
    "an",
    "is",
    "are",
    "it",
    "its",
    "this",
    "that",
    "very",
    "some",
    "many",
    "few",
    "more",
    "most",
    "best",
    "good",
    "bad",
    "small",
    "large",
    "tiny",
    "huge",
    "long",
    "short",
    "tall",
    "wide",
    "young",
    "old",
    "new",
    "modern",
    "ancient",
    "traditional",
    "beautiful",
    "pretty",
    "cute",
    "funny",
    "scary",
    "dark",
    "bright",
    "light",
    "colorful",
    "vibrant",
    "warm",
    "cold",
    "soft",
    "sharp",
    "style",
    "view",
    "scene",
    "landscape",
    "portrait",
    "picture",
    "image",
    "photo",
    "art",
    "artwork",
    "illustration",
    "background",
    "foreground",
    "front",
    "behind",
    "side",
    "near",
    "far",
    "inside",
    "outside",
    "looking",
    "sitting",
    "standing",
    "walking",
    "running",
    "flying",
    "jumping",
    "sleeping",
    "eating",
    "drinking",
    "reading",
    "dancing",
    "holding",
    "wearing",
    "smiling",
    "dramatic",
    "dangerous",
    "impressive",
    "awesome",
    "cinematic",
    "lighting",
    "detailed",
    "realistic",
    "professional",
    "studio",
    "coast",
    "south",
    "north",
    "england",
    "strike",
    "storm",
    "cliffs",
    "cliff",
    "england",
    "high",
    "low",
    "shutter",
    "speed",
    "second",
    "golden",
    "hour",
    "backlit",
    "feet",
    "off",
    "ground",
    "ask",
    "anyone",
    "did",
    "how",
    "felt",
    "magical",
    "fantasy",
    "epic",
    "morning",
    "evening",
    "summer",
    "winter",
    "spring",
    "autumn",
    "cozy",
    "vintage",
    "minimal",
]
CHINESE_WORDS = [
    "天空",
    "天上",
    "蓝天",
    "白云",
    "夜空",
    "夜晚",
    "月光",
    "星空",
    "城市",
    "霓虹",
    "霓虹灯",
    "街道",
    "马路",
    "花园",
    "公园",
    "樱花园",
    "沙滩",
    "海滩",
    "海边",
    "大海",
    "海上",
    "海底",
    "海洋",
    "水下",
    "水里",
    "游泳",
    "山上",
    "山里",
    "山前",
    "雪山",
    "山脉",
    "雪地",
    "雪景",
    "冬天",
    "森林",
    "树林",
    "沙漠",
    "沙丘",
    "太空",
    "宇宙",
    "银河",
    "房间",
    "客厅",
    "桌子",
    "桌上",
    "木桌",
    "草地",
    "田野",
    "草原",
    "夕阳",
    "日落",
    "黄昏",
    "雨中",
    "雨天",
    "下雨",
    "背景",
    "水彩画",
    "水彩",
    "像素",
    "素描",
    "铅笔",
    "赛博朋克",
    "数字艺术",
    "照片",
    "写实",
    "风格",
    "高质量",
    "高清",
    "细节丰富",
    "精美",
    "模糊",
    "低质量",
    "劣质",
    "噪点",
    "水印",
    "文字",
    "可爱",
    "开心",
    "新鲜",
    "美味",
    "漂亮",
    "左边",
    "左侧",
    "右边",
    "右侧",
    "上方",
    "上面",
    "下方",
    "下面",
    "旁边",
    "图片",
    "未来",
    "飞行",
    "传统",
    "日本",
    "神秘",
    "气氛",
    "广角",
    "视图",
    "悬崖",
    "风暴",
    "跳舞",
    "飞翔",
    "宁静",
    "巨大",
    "小小",
]


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


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer at `folder`, written first if it is not there."""
    if not (folder / "vocab.json").exists():
        write_tokenizer(folder)
    return CLIPTokenizer.from_pretrained(str(folder))


def token_ids(tokenizer: CLIPTokenizer, texts: list[str]) -> list[list[int]]:
    """Padded to LENGTH as the pipeline pads them, but cut so that the layout positions stay free."""
    room = LENGTH - LAYOUT
    rows = tokenizer(texts, truncation=True, max_length=room)["input_ids"]
    return [row + [tokenizer.pad_token_id] * (LENGTH - len(row)) for row in rows]
