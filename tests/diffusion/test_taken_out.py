"""What is left of a prompt when the negative prompt's words are taken out of it."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from app.core.settings import PROJECT_FOLDER
from app.diffusion.taken_out import taken_out, takes_out

FOLDER = PROJECT_FOLDER / "models" / "pocket" / "tokenizer"


@pytest.mark.parametrize(
    ("prompt", "negative", "left"),
    [
        ("a red cat", "red", "a cat"),
        ("a cat and a dog", "dog", "a cat"),
        ("a cat and a dog", "a cat", "a dog"),
        ("a cat and two red Dogs on the beach", "dog", "a cat on the beach"),
        ("a cat on the left of a dog", "dog", "a cat"),
        ("a glass of water and a lemon", "glass of water", "a lemon"),
        ("a lobster and a dog", "crab", "a dog"),
        ("一只红色的猫在沙滩上", "红色", "一只猫在沙滩上"),
        ("狗和猫", "模糊，狗", "猫"),
        ("a red apple on a white table", "blurry, low quality", "a red apple on a white table"),
        ("a cat", "cat", "a cat"),
    ],
)
def test_what_is_named_goes_with_what_is_said_of_it_and_something_is_always_left(
    prompt: str, negative: str, left: str
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    assert takes_out(tokenizer)
    assert taken_out(tokenizer, prompt, negative)[0] == left
