"""What our PNG carries, and that nothing a user can type is lost in it."""

import json
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sd_parsers import ParserManager

from app.core.errors import UnreadablePicture
from app.core.schema import GenerationRequest
from app.picture import labels, png, recipe
from app.picture.chunks import read_png
from tests.picture.conftest import a_png, a_recipe, asked

NASTY = (
    "a \"red\" 'apple'\r\n\nNegative prompt: no\nSteps: 1, Sampler: x, Seed: 2\t"
    "</textarea><script> & ]]> 苹果 😀 \x01\ufffe "
)
typed = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)


def test_the_pixels_and_the_recipe_come_back_exactly() -> None:
    made = a_recipe(NASTY, negative_prompt=NASTY, index=3, num_images=4)
    data = png.encode(asked(made), bytes(range(256)) * 3, 16, 16, made, image_id=made["image_id"])
    seen = png.inspect(data)
    assert (seen.kind, seen.width, seen.height, seen.recipe) == ("atelier", 16, 16, made)
    request = recipe.request_of(seen.recipe)
    assert (request.prompt, request.negative_prompt, request.seed, request.num_images) == (NASTY, NASTY, 45, 1)
    assert GenerationRequest.model_validate(seen.request) == request
    assert data == png.encode(asked(made), bytes(range(256)) * 3, 16, 16, made, image_id=made["image_id"])


@settings(max_examples=150)
@given(typed, typed)
def test_any_text_that_a_user_can_type_makes_the_round_trip(prompt: str, negative: str) -> None:
    seen = png.inspect(a_png(prompt, negative_prompt=negative))
    assert (seen.request["prompt"], seen.request["negative_prompt"]) == (prompt, negative)
    assert seen.labels["ai_generated"]


@pytest.mark.parametrize("prompt", ["\ud800", "a\0b"])
def test_text_that_no_file_can_hold_is_refused_before_it_gets_here(prompt: str) -> None:
    with pytest.raises(ValueError):
        GenerationRequest(prompt=prompt)


def test_a_lone_surrogate_in_a_value_of_another_dialect_is_kept() -> None:
    extra = {"styles": ["\ud800", "\0"], "depth": 1.5}
    assert png.inspect(a_png(extra=extra)).request["extra"] == extra


def test_the_file_has_three_texts_before_the_pixels_and_none_is_compressed() -> None:
    data = a_png("中文")
    assert data.index(b"IDAT") > max(
        data.index(word) for word in (b"parameters\0", b"atelier\0", b"XML:com.adobe.xmp\0")
    )
    assert b"iTXtXML:com.adobe.xmp\0\0\0\0\0<?xpacket" in data
    assert b"iTXtatelier\0\0\0\0\0{" in data
    assert list(read_png(data).texts) == ["parameters", "atelier", "XML:com.adobe.xmp"]
    assert b"tEXtparameters\0a red apple\n" not in data
    assert b"tEXtparameters\0caf\xe9\nSteps: " in a_png("café")


def test_pixels_that_do_not_fit_their_size_are_an_error() -> None:
    with pytest.raises(ValueError):
        png.encode(asked(a_recipe()), bytes(10), 16, 16, a_recipe(), image_id="x")


def test_a_file_without_our_recipe_or_with_a_broken_one_is_read_as_a1111s() -> None:
    whole = a_png("a red apple")
    for old, new in ((b'"prompt"', b'"pr0mpt"'), (b'"seed":42,"origin"', b'"seed":"x","orign"')):
        broken = _recrc(whole.replace(old, new))
        seen = png.inspect(broken)
        assert (seen.kind, seen.recipe, seen.request["prompt"]) == ("a1111", None, "a red apple")
        assert seen.made_by == "Atelier 0.1.0"


def test_a_recipe_that_is_not_ours_is_an_unreadable_picture() -> None:
    wrongs: list[dict[str, Any]] = [
        {},
        {"request": {}},
        {"request": {"prompt": "a"}, "seed": "1", "how": {}},
        a_recipe() | {"how": None},
    ]
    for wrong in wrongs:
        with pytest.raises(UnreadablePicture):
            recipe.request_of(wrong)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, '{"a":' * 50_000, "9" * 10_000])
def test_no_text_under_our_keyword_makes_the_reader_fail(text: str) -> None:
    assert recipe.load(text) is None


def test_sd_parsers_reads_the_parameters(file: Callable[..., Path]) -> None:
    path = file(a_png("a red apple, 苹果", negative_prompt="blur", seed=7, scheduler="Euler a", how={"scheduler": "x"}))
    read = ParserManager().parse(str(path))
    assert read.generator.name == "AUTOMATIC1111"
    assert [prompt.value for prompt in read.prompts] == ["a red apple, 苹果"]
    assert [prompt.value for prompt in read.negative_prompts] == ["blur"]
    (sampler,) = read.samplers
    assert (sampler.name, sampler.parameters["seed"], sampler.parameters["steps"]) == ("Euler a", "7", "8")
    assert sampler.parameters["cfg_scale"] == "4.0"
    assert [model.name for model in read.models] == ["pocket"]


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed (libimage-exiftool-perl)")
def test_exiftool_reads_every_label(file: Callable[..., Path]) -> None:
    path = file(a_png("line one\nline <two> & 苹果"))
    answer = subprocess.run(["exiftool", "-j", "-G1", "-struct", path], capture_output=True, check=True, text=True)
    (said,) = json.loads(answer.stdout)
    assert said["XMP-iptcExt:DigitalSourceType"] == labels.TRAINED_ALGORITHMIC_MEDIA
    assert said["XMP-iptcExt:AISystemUsed"] == "pocket"
    assert said["XMP-iptcExt:AISystemVersionUsed"] == "r1"
    assert said["XMP-iptcExt:AIPromptInformation"] == "line one\nline <two> & 苹果"
    assert said["XMP-xmp:CreatorTool"] == "Atelier 0.1.0"
    assert said["XMP-xmp:CreateDate"] == "2026:11:20 12:00:00+00:00"
    assert list(json.loads(_text_of(said["XMP-TC260:Aigc"]))) == [
        "Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2",
    ]  # fmt: skip
    assert said["PNG:Parameters"].startswith("line one\nline <two> & 苹果\nSteps: 8, ")
    assert not [key for key in said if "Warning" in key or "Error" in key]


def test_pillow_reads_the_same_texts(file: Callable[..., Path]) -> None:
    with Image.open(file(a_png("苹果"))) as picture:
        assert picture.text["parameters"].startswith("苹果\nSteps: 8")
        assert picture.info["xmp"].decode() == read_png(file(a_png("苹果")).read_bytes()).texts["XML:com.adobe.xmp"]


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _recrc(data: bytes) -> bytes:
    """The same chunks with checksums that fit."""
    at, out = 8, data[:8]
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        out += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return out
