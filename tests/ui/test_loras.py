"""LoRAs on the page: which are offered, what is said for them, and where they stand in the prompt."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.models import EmbeddingInfo, LoraInfo, ModelInfo
from app.core.prompt_syntax import Prompt
from app.families import LORA_SDXL
from app.ui.strings import ENGLISH, Strings
from app.ui.views.embeddings import embedding_list, with_word
from app.ui.views.loras import WEIGHT, lora_list, weight_of, with_lora, without_lora
from app.weights.loras import LoraFile

WORDS = Strings().words(ENGLISH)
MODEL = ModelInfo(key="pocket", title="Pocket", pipeline="StableDiffusionPipeline")


def test_several_are_put_into_a_prompt_and_taken_out_again() -> None:
    one = with_lora("a cat", "ink", 0.8, ["ink style", "CAT"])
    assert one == "a cat, ink style <lora:ink:0.8>"
    two = with_lora(one, "glow (v2)", 1.0, ())
    assert [str(tag) for tag in Prompt.read(two).loras] == ["<lora:ink:0.8>", "<lora:glow (v2):1>"]
    other = with_lora(two, "ink", -0.5, ["ink style"])
    assert other == "a cat, ink style <lora:glow (v2):1> <lora:ink:-0.5>"
    assert without_lora(without_lora(other, "glow (v2)"), "ink") == "a cat, ink style"
    assert with_lora("", "ink", 0.8, ()) == "<lora:ink:0.8>"


def test_an_embedding_is_put_into_a_prompt_as_a_word_and_once() -> None:
    assert with_word("", "bad-hands") == "bad-hands"
    assert with_word("badly", "bad") == "badly, bad"
    assert with_word("a cat, (BAD:1.2)", "bad") == "a cat, (BAD:1.2)"


def test_a_weight_from_a_browser_is_believed_only_if_it_is_one() -> None:
    assert [weight_of(text) for text in ("0.5", "-2", "3", "x", None, "nan")] == [0.5, -2, *[WEIGHT] * 4]


def loras_shown(name: str, models: tuple[str, ...]) -> str:
    """The list with one LoRA."""
    return lora_list([LoraInfo(name=name, words=("<script>",), models=models)], MODEL, WORDS)


def embeddings_shown(name: str, models: tuple[str, ...]) -> str:
    """The list with one embedding."""
    return embedding_list([EmbeddingInfo(name=name, models=models)], MODEL, WORDS)


@pytest.mark.parametrize("shown", [loras_shown, embeddings_shown])
def test_only_what_fits_the_model_is_listed_and_nothing_breaks_out_of_it(
    shown: Callable[[str, tuple[str, ...]], str],
) -> None:
    listed = shown("<b>x</b>", ("flux", "pocket"))
    assert "(1)" in listed
    assert "&lt;b&gt;x" in listed
    assert not re.search("<b>x|<script>", listed)
    assert shown("other", ("flux",)) == ""


@pytest.mark.parametrize(
    ("notes", "wanted"),
    [
        ({"modelspec.trigger_phrase": "ink style, brush "}, ("ink style", "brush")),
        ({"ss_tag_frequency": json.dumps({"10_ink": {"ink": 9, "cat ": 2}, "1_x": {"cat": 8}})}, ("cat", "ink")),
        ({"ss_tag_frequency": "[1]"}, ()),
        ({"ss_tag_frequency": '{"a": {"b": "many"}}'}, ()),
        ({"ss_tag_frequency": "{"}, ()),
        ({}, ()),
    ],
)
def test_trigger_words_come_from_the_trainers_notes(notes: dict[str, str], wanted: tuple[str, ...]) -> None:
    assert LoraFile("ink", Path("ink.safetensors"), notes).words() == wanted


def test_a_lora_fits_models_of_its_family_and_none_that_only_enlarges() -> None:
    lora = LoraFile("ink", Path("ink.safetensors"), {}, family=LORA_SDXL)
    pipelines = ("StableDiffusionXLPipeline", "StableDiffusionPipeline", "Swin2SRForImageSuperResolution")
    assert [lora.fits(name) for name in pipelines] == [True, False, False]
    assert not LoraFile("ink", Path("ink.safetensors"), {}, refused="damaged").fits("StableDiffusionXLPipeline")
