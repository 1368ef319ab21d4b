"""What control models read, made of a picture; and control in the words of an infotext."""

import pytest
from PIL import Image, ImageDraw

from app.core.control import ControlUnit, Preprocessor
from app.core.schema import GenerationRequest
from app.picture import infotext, pose
from app.picture.edges import hint, preprocessed

PICTURE = Image.new("RGB", (96, 64), "white")
ImageDraw.Draw(PICTURE).ellipse((20, 12, 76, 52), fill=(200, 30, 30), outline="black", width=2)


@pytest.mark.parametrize("preprocessor", [p for p in Preprocessor if p is not Preprocessor.NONE and not p.by_model])
def test_edges_are_bright_where_the_picture_changes_and_black_where_it_does_not(preprocessor: Preprocessor) -> None:
    seen = preprocessed(PICTURE, preprocessor)
    assert (seen.mode, seen.size) == ("RGB", PICTURE.size)
    assert seen.getpixel((4, 4)) == seen.getpixel((48, 32)) == (0, 0, 0)
    assert max(max(seen.getpixel((x, 32))) for x in range(16, 26)) > 100
    assert preprocessed(PICTURE, preprocessor).tobytes() == seen.tobytes()


def test_a_pose_is_drawn_with_a_neck_between_the_shoulders_and_what_is_not_seen_is_left_out() -> None:
    arms = {5: (60.0, 20.0), 6: (20.0, 20.0), 8: (10.0, 40.0)}
    seen = pose.drawn(arms, 80, 64)
    assert (seen.mode, seen.size) == ("RGB", (80, 64))
    assert seen.getpixel((40, 20)) == pose.COLOURS[1]
    assert seen.getpixel((60, 20)) == pose.COLOURS[5]
    assert seen.getpixel((10, 40)) == pose.COLOURS[3]
    assert seen.getpixel((70, 60)) == pose.drawn({}, 80, 64).getpixel((40, 20)) == (0, 0, 0)


def test_a_picture_of_another_size_is_cut_and_never_stretched() -> None:
    assert hint(PICTURE, Preprocessor.NONE, 96, 64) is PICTURE
    square = hint(PICTURE, Preprocessor.NONE, 64, 64)
    assert square.tobytes() == PICTURE.crop((16, 0, 80, 64)).tobytes()


def test_control_goes_into_an_infotext_in_a1111s_words_and_comes_back() -> None:
    units = (
        ControlUnit(model="edges", image="a" * 64, preprocessor=Preprocessor.CANNY, weight=0.8, end=0.5),
        ControlUnit(model="deep", image="b" * 64, start=0.25),
    )
    request = GenerationRequest(prompt="a cat", num_inference_steps=4, guidance_scale=2, width=64, height=64)
    text = infotext.build(request.model_copy(update={"control": units}), 7, {"sampler": "Euler"})
    assert (
        'ControlNet 0: "Module: canny, Model: edges, Weight: 0.8, Resize Mode: Crop and Resize, Guidance Start: 0, '
        'Guidance End: 0.5, Pixel Perfect: True, Control Mode: Balanced"' in text
    )
    assert infotext.request_fields(infotext.parse(text))["control"] == [unit.model_dump(mode="json") for unit in units]


def test_control_of_another_program_whose_picture_is_not_known_is_said_to_be_of_no_use() -> None:
    unit = "Module: openpose_full, Model: control_v11p_sd15_openpose [cab727d4], Weight: 1"
    parsed = infotext.parse(f'a cat\nSteps: 20, Sampler: Euler, Seed: 1, ControlNet 0: "{unit}"')
    found = infotext.found_in(parsed)
    assert (found.unusable["control"], "control" in found.request) == (unit, False)
