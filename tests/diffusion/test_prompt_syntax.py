"""A1111's prompt syntax: which words count how much, what is a LoRA, and what is just text."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.prompt_syntax import LoraTag, Prompt, parse_loras, parse_weights, plain_words


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("a cat", [("a cat", 1.0)]),
        ("", [("", 1.0)]),
        ("a (red) cat", [("a ", 1.0), ("red", 1.1), (" cat", 1.0)]),
        ("((x))", [("x", 1.21)]),
        ("[x]", [("x", 1 / 1.1)]),
        ("[[x]]", [("x", 1 / 1.21)]),
        ("([x])", [("x", 1.0)]),
        ("(x:1.3)", [("x", 1.3)]),
        ("(x: .5 )", [("x", 0.5)]),
        ("(x:-1)", [("x", -1.0)]),
        ("(x:0)", [("x", 0.0)]),
        ("(a (b:2) c:3)", [("a ", 3.0), ("b", 6.0), (" c", 3.0)]),
        ("(a [b] c:1.5)", [("a ", 1.5), ("b", 1.5 / 1.1), (" c", 1.5)]),
        # From A1111's own documentation of the function.
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1.0),
                ("house", 1.5730000000000004),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641000000000006),
                (".", 1.1),
            ],
        ),
        ("(unbalanced", [("unbalanced", 1.1)]),
        ("literal\\]", [("literal]", 1.0)]),
        (r"\(literal\)", [("(literal)", 1.0)]),
        ("unnecessary)", [("unnecessary)", 1.0)]),
        ("[cat:dog:0.5]", [("[cat:dog:0.5]", 1.0)]),
        ("[cat|dog] (x)", [("[cat|dog] ", 1.0), ("x", 1.1)]),
        ("a portrait: (12:30)", [("a portrait: ", 1.0), ("12:30", 1.1)]),
        ("a\\", [("a\\", 1.0)]),
        ("一只(红色:1.2)的猫", [("一只", 1.0), ("红色", 1.2), ("的猫", 1.0)]),
    ],
)
def test_brackets_mean_what_they_mean_in_a1111(prompt: str, wanted: list[tuple[str, float]]) -> None:
    made = parse_weights(prompt)
    assert [piece.text for piece in made] == [text for text, _ in wanted]
    assert [piece.weight for piece in made] == pytest.approx([weight for _, weight in wanted])


def test_break_starts_a_new_chunk() -> None:
    assert [(piece.text, piece.starts_chunk) for piece in parse_weights("one BREAK two, BREAKFAST")] == [
        ("one", False),
        ("two, BREAKFAST", True),
    ]


@pytest.mark.parametrize("prompt", ["a cat", "", "a: b", "x)", "]", "[a|b]", "a, b. c!", "<lora:x:1>"])
def test_a_prompt_without_syntax_is_plain(prompt: str) -> None:
    assert Prompt(prompt).is_plain
    assert not Prompt(prompt).has_weights


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a (red:1.2) cat", "a red cat"),
        ("((a:2) b:3)", "a b"),
        ("a cat (the orange one)", "a cat (the orange one)"),
        (r"\(x\)", "(x)"),
        ("at (12:30)", "at (12:30)"),
    ],
)
def test_a_model_without_weights_gets_the_words(prompt: str, words: str) -> None:
    assert plain_words(prompt) == words


def test_lora_tags_are_taken_out_in_order() -> None:
    text, tags = parse_loras("a cat <lora:ink:0.8>, <lora:old film> x <lora:two:0.5:0.25>")
    assert text == "a cat ,  x "
    assert tags == [LoraTag("ink", 0.8, 0.8), LoraTag("old film"), LoraTag("two", 0.5, 0.25)]
    assert [str(tag) for tag in tags] == ["<lora:ink:0.8>", "<lora:old film:1>", "<lora:two:0.5:0.25>"]


@pytest.mark.parametrize("text", ["a < b", "<lora:>", "<lora>", "<hypernet:x:1>", "lora:x:1", "<lora:a"])
def test_what_is_no_lora_tag_is_text(text: str) -> None:
    assert parse_loras(text) == (text, [])


@pytest.mark.parametrize("text", ["<lora:x:much>", "<lora:x:nan>", "<lora:x:99>", "<lora:x:>", "<lora:x:1:1:1>"])
def test_a_wrong_lora_weight_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="<lora:x"):
        parse_loras(text)
    with pytest.raises(ValueError, match="once"):
        parse_loras("<lora:x:1> <lora:x:0.5>")


@given(st.text(alphabet="ab ()[]\\:.|1BREAK<>,", max_size=60))
def test_any_text_is_read_without_an_error_and_loses_no_word(prompt: str) -> None:
    made = parse_weights(prompt)
    assert made
    if Prompt(prompt).is_plain:
        assert made[0].text == prompt
    letters = [char for piece in made for char in piece.text if char in "ab"]
    assert letters == [char for char in prompt if char in "ab"]


def read(prompt: str) -> None:
    parse_weights(prompt)
    plain_words(prompt)
    with suppress(ValueError):
        parse_loras(prompt)


HOSTILE = ["[|", "(", "(:", "(:1", "<lora:", "[", "(a:1.1", "\\", "1", " ", "a BREAK ", "(a", "a:", "(a:1)", "<lora:a:"]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_prompt_costs_no_time(piece: str) -> None:
    whole = (piece * 20_000)[:20_000]
    started = time.process_time()
    for prompt in (whole, f":{whole}x", f"(a:{whole})", whole[:10_000] + ")" * 10_000, f"(a:1{whole}x)"):
        read(prompt)
    assert time.process_time() - started < 3


@pytest.mark.parametrize("piece", ["1", " "])
def test_a_prompt_fifty_times_as_long_costs_about_fifty_times_as_much(piece: str) -> None:
    started = time.process_time()
    read((f"(a:1{piece * 1_000_000}")[:1_000_000] + "x)")
    assert time.process_time() - started < 20


def test_brackets_that_are_nested_deeper_than_anybody_means_are_text() -> None:
    assert [piece.text for piece in parse_weights("(" * 60 + "x" + ")" * 60)] == ["(" * 10 + "x", ")" * 10]


def test_more_loras_than_anybody_uses_are_refused() -> None:
    assert len(parse_loras("".join(f"<lora:a{number}:1>" for number in range(50)))[1]) == 50
    with pytest.raises(ValueError, match="at most 50"):
        parse_loras("".join(f"<lora:a{number}:1>" for number in range(51)))
