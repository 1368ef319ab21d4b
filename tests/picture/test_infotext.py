"""A1111's infotext: written for every other program, read as A1111 reads it."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.schema import GenerationRequest
from app.picture import infotext
from tests.picture.conftest import HOW


def a_request(prompt: str = "a red apple", **values: Any) -> GenerationRequest:
    defaults = {"model": "pocket", "num_inference_steps": 8, "guidance_scale": 4.0, "width": 128, "height": 256}
    return GenerationRequest(prompt=prompt, **defaults | {"seed": 42, "scheduler": "default"} | values)


def test_the_text_is_the_one_that_a1111_would_write() -> None:
    request = a_request("a red apple,\non a table", negative_prompt="blur\nnoise", scheduler="DPM++ 2M Karras")
    how = {"scheduler": "DPMSolverMultistepScheduler", "sampler": "DPM++ 2M", "model_hash": "6ce0161689"}
    assert infotext.build(request, 43, how) == (
        "a red apple,\non a table\n"
        "Negative prompt: blur\nnoise\n"
        "Steps: 8, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 4.0, Seed: 43, Size: 128x256, "
        "Model hash: 6ce0161689, Model: pocket, RNG: CPU, Version: Atelier 0.1.0"
    )


def test_an_empty_negative_prompt_has_no_line_and_empty_prompts_leave_only_parameters() -> None:
    assert "Negative prompt" not in infotext.build(a_request(), 1, HOW)
    assert infotext.build(a_request(""), 1, HOW).startswith("Steps: 8, Sampler: Euler, ")
    assert infotext.build(a_request("", negative_prompt="b"), 1, HOW).startswith("Negative prompt: b\nSteps: 8")


@pytest.mark.parametrize(
    ("scheduler", "how", "written"),
    [
        ("default", {"scheduler": "PNDMScheduler"}, "Sampler: PLMS,"),
        ("default", {"scheduler": "EulerAncestralDiscreteScheduler"}, "Sampler: Euler a,"),
        ("default", {"scheduler": "FlowMatchEulerDiscreteScheduler"}, "Sampler: FlowMatchEulerDiscrete,"),
        ("Euler a", {}, "Sampler: Euler a,"),
        ("default", {}, "Sampler: default,"),
        ("DPM++ 2M Karras", {"sampler": "DPM++ 2M Karras"}, "Sampler: DPM++ 2M, Schedule type: Karras,"),
        ("default", {"scheduler": "EulerDiscreteScheduler", "sampler": "Euler"}, "Sampler: Euler,"),
    ],
)
def test_the_sampler_is_named_as_a1111_names_it(scheduler: str, how: dict[str, Any], written: str) -> None:
    assert f"Steps: 8, {written} " in infotext.build(a_request(scheduler=scheduler), 1, how)


def test_a_value_is_quoted_only_when_it_has_a_comma_a_colon_or_a_line_break() -> None:
    assert infotext.quote('a "b"') == 'a "b"'
    assert infotext.quote("a,b") == '"a,b"'
    assert infotext.quote("a:b") == '"a:b"'
    assert infotext.quote('红\n"') == '"红\\n\\""'
    assert infotext.unquote('"a') == '"a'
    assert infotext.unquote('"') == '"'
    assert infotext.unquote('"a\\q"') == '"a\\q"'


@given(st.text())
def test_a_quoted_value_is_unquoted_to_itself(text: str) -> None:
    looks_quoted = len(text) >= 2 and text[0] == text[-1] == '"' and not set(text) & set(",:\n")
    assert looks_quoted or infotext.unquote(infotext.quote(text)) == text


def test_a_file_of_a1111_is_read_with_all_its_values() -> None:
    text = (
        "masterpiece, (best quality:1.2),\n  1girl  \n\nNegative prompt: lowres,\nbad hands\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1234, Size: 512x768, "
        'Model hash: 6ce0161689, Model: v1-5, Lora hashes: "a: 123, b: 456", Hires resize: 1024x1536, Version: v1.10.1'
    )
    parsed = infotext.parse(text)
    assert parsed["Prompt"] == "masterpiece, (best quality:1.2),\n1girl\n"
    assert parsed["Negative prompt"] == "lowres,\nbad hands"
    assert (parsed["Size-1"], parsed["Size-2"], parsed["Hires resize-1"]) == ("512", "768", "1024")
    assert parsed["Lora hashes"] == "a: 123, b: 456"
    assert infotext.request_fields(parsed) == {
        "prompt": "masterpiece, (best quality:1.2),\n1girl\n",
        "negative_prompt": "lowres,\nbad hands",
        "num_inference_steps": 20,
        "guidance_scale": 7.0,
        "width": 512,
        "height": 768,
        "seed": 1234,
        "scheduler": "DPM++ 2M Karras",
    }


def test_a_last_line_with_fewer_than_three_values_is_prompt() -> None:
    assert infotext.parse("a cat\nstyle: oil, mood: calm") == {
        "Prompt": "a cat\nstyle: oil, mood: calm",
        "Negative prompt": "",
    }
    assert infotext.parse("a cat\nab: 1, cd: 2, ef: 3")["ef"] == "3"
    assert infotext.parse("") == {"Prompt": "", "Negative prompt": ""}


def test_values_that_a_request_cannot_hold_are_left_out_and_not_bent() -> None:
    text = "a\nSteps: 99999, Sampler: Euler, CFG scale: nan, Seed: -7, Size: 3x512, Schedule type: Automatic"
    fields = infotext.request_fields(infotext.parse(text))
    assert fields == {"prompt": "a", "negative_prompt": "", "height": 512, "scheduler": "Euler"}


plain_lines = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1).filter(
        lambda line: not line.startswith("Negative prompt:")
    ),
    max_size=4,
).map("\n".join)


@given(plain_lines, plain_lines, st.integers(0, 2**32), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_what_is_written_is_read_again(prompt: str, negative: str, seed: int, model: str) -> None:
    request = a_request(prompt, negative_prompt=negative, model="m" + model + "m")
    parsed = infotext.parse(infotext.build(request, seed, HOW))
    assert (parsed["Prompt"], parsed["Negative prompt"]) == (prompt, negative)
    assert (parsed["Seed"], parsed["Steps"], parsed["Size-1"]) == (str(seed), "8", "128")
    assert parsed["Model"] == ("m" + model + "m")


@given(st.text())
def test_no_text_at_all_makes_the_reader_fail(text: str) -> None:
    infotext.request_fields(infotext.parse(text))


@pytest.mark.parametrize(
    "line", ["a" * 16_000, "ab:" * 5_000, 'ab: "' * 3_000, " " * 16_000 + "x", "ab: " + " " * 16_000]
)
def test_a_hostile_line_is_read_in_a_moment(line: str) -> None:
    start = time.process_time()
    infotext.parse(line)
    assert time.process_time() - start < 1


def test_a_parameter_line_beyond_16_kib_is_prompt() -> None:
    line = "Steps: 1, Sampler: Euler, Seed: 1, " + json.dumps("x" * 17_000)
    assert infotext.parse(line)["Prompt"] == line
