"""The masked part alone, its edge, and what is under it at first."""

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageChops, ImageFilter

from app.catalog import folder_entry
from app.core.errors import InvalidRequest
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.diffusion.blend import begin_anew
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from app.diffusion.pipelines import LoadedModel
from app.diffusion.starts import Held, finished, starts_of
from app.picture.fit import scaled
from app.picture.mask import filled_from_around, part_to_draw
from tests.pipelines import make_tiny_sd

SIZE = (160, 120)
COLOURS = Image.frombytes("RGB", SIZE, bytes(i * i // 7 % 256 for i in range(SIZE[0] * SIZE[1] * 3)))
BOX = (90, 40, 120, 60)
MASK = Image.new("L", SIZE, 0)
MASK.paste(255, BOX)


def png_of(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


PICTURES = Held({hashlib.sha256(png_of(picture)).hexdigest(): png_of(picture) for picture in (COLOURS, MASK)})
INPUTS = [{"role": role, "sha256": sha256} for role, sha256 in zip(("image", "mask"), PICTURES, strict=True)]


def ask(**fields: Any) -> GenerationRequest:
    values = {
        "prompt": "a red apple", "model": "x", "num_inference_steps": 4, "guidance_scale": 4.0, "width": 64,
        "height": 64, "seed": 7, "scheduler": "default", "task": "inpaint", "strength": 0.6, "inputs": INPUTS,
    }  # fmt: skip
    return GenerationRequest.model_validate(values | fields)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = make_tiny_sd(tmp_path_factory.mktemp("models") / "tiny")
    return ModelCache("cpu").load(folder_entry(folder), Path("/"))


def draw(loaded: LoadedModel, **fields: Any) -> Picture:
    [picture] = generate(loaded, ask(**fields), pictures=PICTURES)
    return picture


def changed(picture: Picture, before: Image.Image) -> Image.Image:
    with Image.frombytes("RGB", (picture.width, picture.height), picture.rgb) as made:
        return ImageChops.difference(made, before).convert("L").point(lambda value: value and 255)


def test_the_masked_part_alone_is_drawn_at_the_asked_size_and_the_picture_keeps_its_own(loaded: LoadedModel) -> None:
    picture = draw(loaded, inpaint_full_res=True, inpaint_full_res_padding=8)
    assert (picture.width, picture.height) == SIZE
    assert picture.how["drawn"] == {"width": 64, "height": 64}
    left, top, right, bottom = picture.how["part"]
    assert (left, right, bottom - top) == (82, 128, 46)  # 8 pixels more on both sides, and square as what is drawn
    touched = changed(picture, COLOURS).getbbox()
    assert touched is not None
    assert BOX[0] <= touched[0] < touched[2] <= BOX[2]
    assert BOX[1] <= touched[1] < touched[3] <= BOX[3]


def test_the_part_that_is_drawn_is_what_it_would_be_as_a_picture_of_its_own(loaded: LoadedModel) -> None:
    whole = draw(loaded, inpaint_full_res=True, inpaint_full_res_padding=8)
    box = tuple(whole.how["part"])
    part, its_mask = (
        scaled(picture, 64, 64, method, box)
        for picture, method in ((COLOURS, Image.Resampling.LANCZOS), (MASK, Image.Resampling.BILINEAR))
    )
    held = Held({name * 64: png_of(picture) for name, picture in (("a", part), ("b", its_mask))})
    inputs = [{"role": "image", "sha256": "a" * 64}, {"role": "mask", "sha256": "b" * 64}]
    [alone] = generate(loaded, ask(inputs=inputs), pictures=held)
    made = Image.frombytes("RGB", (64, 64), alone.rgb)
    # Inside the mask, away from its edge, where `alone` has put nothing back.
    wanted = scaled(made, box[2] - box[0], box[3] - box[1], Image.Resampling.LANCZOS)
    seen = Image.frombytes("RGB", SIZE, whole.rgb).crop(box)
    inner = (BOX[0] - box[0] + 5, BOX[1] - box[1] + 5, BOX[2] - box[0] - 5, BOX[3] - box[1] - 5)
    assert wanted.crop(inner).tobytes() == seen.crop(inner).tobytes()


def test_strength_0_gives_the_first_picture_back_in_its_own_size(loaded: LoadedModel) -> None:
    picture = draw(loaded, inpaint_full_res=True, strength=0.0, mask_blur=3, inpainting_fill=0)
    assert (picture.width, picture.height, picture.rgb) == (*SIZE, COLOURS.tobytes())


def test_a_blurred_mask_softens_its_edge_and_no_byte_changes_beyond_it(loaded: LoadedModel) -> None:
    hard = draw(loaded, width=SIZE[0], height=SIZE[1], strength=1.0)
    soft = draw(loaded, width=SIZE[0], height=SIZE[1], strength=1.0, mask_blur=4)
    reached = MASK.filter(ImageFilter.GaussianBlur(4)).point(lambda value: 255 * (value > 0))
    beyond = ImageChops.invert(reached)
    assert ImageChops.multiply(changed(soft, COLOURS), beyond).getbbox() is None
    assert ImageChops.multiply(changed(soft, COLOURS), ImageChops.invert(MASK)).getbbox() is not None
    assert ImageChops.multiply(changed(hard, COLOURS), ImageChops.invert(MASK)).getbbox() is None


def test_each_fill_is_another_beginning_and_outside_the_mask_no_byte_changes(loaded: LoadedModel) -> None:
    made = {fill: draw(loaded, width=SIZE[0], height=SIZE[1], inpainting_fill=fill) for fill in range(4)}
    assert len({picture.rgb for picture in made.values()}) == 4
    for picture in made.values():
        assert ImageChops.multiply(changed(picture, COLOURS), ImageChops.invert(MASK)).getbbox() is None


def test_the_colours_around_a_mask_are_carried_under_it() -> None:
    red = Image.new("RGB", (64, 64), (200, 30, 30))
    red.paste((0, 0, 255), (24, 24, 40, 40))
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (24, 24, 40, 40))
    filled = filled_from_around(red, mask)
    assert all(abs(a - b) <= 2 for a, b in zip(filled.getpixel((32, 32)), (200, 30, 30), strict=True))
    assert filled.getpixel((0, 0)) == (200, 30, 30)


@pytest.mark.parametrize(
    ("box", "padding", "ratio", "wanted"),
    [
        ((90, 40, 120, 60), 0, (1, 1), (90, 35, 120, 65)),
        ((0, 0, 20, 10), 5, (1, 1), (0, 0, 25, 25)),  # no room above: it grows down
        ((140, 100, 160, 120), 0, (2, 1), (120, 100, 160, 120)),
        ((0, 0, 160, 10), 0, (1, 1), (0, 0, 160, 120)),  # no room for a square: as much as there is
        (None, 5, (1, 1), (0, 0, 160, 120)),
    ],
)
def test_the_part_to_draw_has_the_ratio_of_what_is_drawn_inside_the_picture(
    box: tuple[int, int, int, int] | None, padding: int, ratio: tuple[int, int], wanted: tuple[int, int, int, int]
) -> None:
    mask = Image.new("L", SIZE, 0)
    if box:
        mask.paste(255, box)
    assert part_to_draw(mask, padding, *ratio) == wanted


@pytest.mark.parametrize("noise", [True, False])
def test_latents_under_the_mask_are_the_noise_or_nothing_before_noise_is_added(noise: bool) -> None:
    class Scheduler:
        def add_noise(self, samples: torch.Tensor, given: torch.Tensor, _: int) -> torch.Tensor:
            return samples

        def scale_noise(self, samples: torch.Tensor, _: int, noise: torch.Tensor) -> torch.Tensor:
            return samples

    scheduler = Scheduler()
    mask = Image.new("L", (8, 8), 0)
    mask.paste(255, (0, 0, 4, 8))
    begin_anew(scheduler, [mask], noise=noise)
    samples, given = torch.full((1, 2, 4, 4), 3.0), torch.full((1, 2, 4, 4), 5.0)
    for found in (scheduler.add_noise(samples, given, 0), scheduler.scale_noise(samples, 0, noise=given)):
        assert found[0, 0, 0].tolist() == [5.0 if noise else 0.0] * 2 + [3.0] * 2


def test_the_part_is_drawn_with_the_softness_that_was_asked_for_in_the_first_picture() -> None:
    asked = ask(inpaint_full_res=True, mask_blur=4)
    start, frame = starts_of(asked, asked, PICTURES)
    assert start is not None
    assert frame is not None
    assert frame.mask is not None
    assert frame.mask.tobytes() == MASK.filter(ImageFilter.GaussianBlur(4)).tobytes()
    assert start.picture.size == (64, 64)


def test_a_picture_is_extended_by_its_sides_and_keeps_every_pixel_of_its_own(loaded: LoadedModel) -> None:
    picture = draw(loaded, inputs=INPUTS[:1], extend=[40, 0, 0, 24], strength=1.0)
    assert (picture.width, picture.height) == (200, 144)
    made = Image.frombytes("RGB", (200, 144), picture.rgb)
    assert made.crop((40, 0, 200, 120)).tobytes() == COLOURS.tobytes()
    assert made.crop((0, 0, 40, 144)).getcolors() is None or len(made.crop((0, 0, 40, 144)).getcolors() or ()) > 1
    assert (picture.how["part"], picture.how["notes"]) == ([0, 0, 200, 144], [])
    part = draw(loaded, inputs=INPUTS[:1], extend=[40, 0, 0, 0], inpaint_full_res=True, inpaint_full_res_padding=80)
    assert (part.how["part"], part.how["notes"]) == ([0, 0, 120, 120], [])
    both = draw(loaded, extend=[40, 0, 0, 0], strength=1.0)
    touched = ImageChops.difference(
        Image.frombytes("RGB", (200, 120), both.rgb).crop((40, 0, 200, 120)), COLOURS
    ).getbbox()
    assert touched is not None
    assert BOX[0] <= touched[0] < touched[2] <= BOX[2]


def test_what_is_extended_is_drawn_unstretched_whatever_size_is_asked_for() -> None:
    asked = ask(inputs=INPUTS[:1], extend=[40, 0, 40, 0])  # 240x120, drawn in a square of 64
    start, frame = starts_of(asked, asked, PICTURES)
    assert start is not None
    assert frame is not None
    assert (frame.box, frame.inside) == ((0, 0, 240, 120), (0, 16, 64, 48))
    seen = start.picture.crop((11, 16, 53, 48))
    assert seen.tobytes() == scaled(frame.picture, 64, 32, Image.Resampling.LANCZOS).crop((11, 0, 53, 32)).tobytes()
    assert start.mask is not None
    assert start.mask.getpixel((32, 8)) == start.mask.getpixel((2, 32)) == 255
    assert start.mask.getpixel((32, 32)) == 0
    drawn = Image.new("RGB", (64, 64), "red")
    drawn.paste("blue", (0, 16, 64, 48))  # the margin is left out
    given = finished(Picture(0, 1, 64, 64, drawn.tobytes(), {}), asked, frame)
    made = Image.frombytes("RGB", (given.width, given.height), given.rgb)
    assert made.crop((0, 0, 40, 120)).getcolors() == [(40 * 120, (0, 0, 255))]
    assert made.crop((40, 0, 200, 120)).tobytes() == COLOURS.tobytes()
    assert given.how["notes"] == []


def test_a_picture_that_would_grow_too_large_is_refused_by_name() -> None:
    wide = Image.new("L", (4000, 4000))
    held = Held({"a" * 64: png_of(wide)})
    asked = ask(inputs=[{"sha256": "a" * 64}], extend=[2048, 2048, 2048, 2048])
    with pytest.raises(InvalidRequest, match="extend"):
        starts_of(asked, asked, held)
