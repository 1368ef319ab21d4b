"""Prompts that leave something to chance: what they may say, that the seed decides, and that nothing else changes."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.dynamic_prompts import expand, is_dynamic

FILES = {"colour": ["red", "{dark|light} blue"], "loop": ["x __loop__"]}


def lines(name: str) -> Sequence[str]:
    if name not in FILES:
        raise ValueError(f"there is no wildcard __{name}__")
    return FILES[name]


def made(text: str, seeds: int = 200) -> Counter[str]:
    """What comes of a text, and how often, with the first seeds."""
    return Counter(expand(text, seed, lines, max_chars=1000) for seed in range(seeds))


@pytest.mark.parametrize(
    ("text", "results"),
    [
        ("a {red|blue} cup", {"a red cup", "a blue cup"}),
        ("{a|b{c|d}}", {"a", "bc", "bd"}),
        ("{2$$a|b|c}", {f"{x}, {y}" for x in "abc" for y in "abc" if x != y}),
        ("{1-2$$ and $$a|b}", {"a", "b", "a and b", "b and a"}),
        ("{3$$a|b}", {"a, b", "b, a"}),
        ("{|very }red", {"red", "very red"}),
        ("__colour__ cup", {"red cup", "dark blue cup", "light blue cup"}),
        ("{__colour__|green}", {"red", "dark blue", "light blue", "green"}),
        (r"\{a|b\} \__colour\__", {"{a|b} __colour__"}),
    ],
)
def test_every_choice_comes_up_and_nothing_else(text: str, results: set[str]) -> None:
    assert is_dynamic(text)
    assert set(made(text)) == results


def test_a_weight_says_how_often() -> None:
    counted = made("{9::red|blue}", 1000)
    assert counted["red"] > 5 * counted["blue"] > 0


def test_the_seed_decides_today_as_in_a_year() -> None:
    text = "a {red|green|blue} {2$$cup|plate|bowl} {__colour__|grey}"
    assert [expand(text, seed, lines, max_chars=99) for seed in (1, 2, 2**32)] == [
        expand(text, seed, lines, max_chars=99) for seed in (1, 2, 2**32)
    ]
    assert expand("{0|1|2|3|4|5|6|7|8|9}{0|1|2|3|4|5|6|7|8|9}", 42, lines, max_chars=9) == "60"


@pytest.mark.parametrize(
    "text",
    [
        "a red apple",
        "(word:1.2) [a|b] <lora:x:0.8>",
        "{word}",
        "{a|b",
        "a|b}",
        "snake_case ___ __",
        '{"a": 1}',
        "{}",
        "\\",
    ],
)
def test_a_text_without_such_signs_stays_as_it_is(text: str) -> None:
    assert not is_dynamic(text)
    assert made(text, 3) == {text: 3}


@given(st.text(st.characters(exclude_characters="{}|_\\"), max_size=200), st.integers(0, 2**32))
def test_no_other_character_means_anything(text: str, seed: int) -> None:
    assert expand(text, seed, lines, max_chars=200) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__nothing__", "there is no wildcard __nothing__"),
        ("__loop__", "more than 20 choices stand inside each other"),
        ("{a|b}" * 501, "more than 500 choices"),
        ("{" + "x" * 1001 + "|" + "x" * 1001 + "}", "more characters than a prompt may have"),
    ],
)
def test_what_is_beyond_the_limits_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made(text, 1)


@pytest.mark.parametrize("piece", ["{", "{a|", "{1$$", "\\", "_", "__a", "|", "{a|b", "}", "{2$$a|"])
def test_the_worst_texts_cost_no_more_than_a_moment(piece: str) -> None:
    text = piece * (20_000 // len(piece))
    begun = time.process_time()
    with suppress(ValueError):
        expand(text, 1, lines, max_chars=20_000)
    assert time.process_time() - begun < 2
