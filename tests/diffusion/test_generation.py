"""The picture you asked for is the picture you get: seeds, batches, neighbours, progress."""

import math
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from app.core.errors import GenerationFailed, OutOfMemory
from app.diffusion.generate import generate, generate_batch
from app.diffusion.pipelines import LoadedModel
from app.diffusion.pulse import pulse
from tests.diffusion.conftest import Ask


def test_a_sign_of_life_comes_from_inside_each_step(loaded: LoadedModel, ask: Ask) -> None:
    beats: list[int] = []
    with pulse(lambda: beats.append(1)):
        generate(loaded, ask(num_inference_steps=1))
    once = len(beats)
    assert once > 50
    generate(loaded, ask(num_inference_steps=1))
    assert len(beats) == once


def test_image_i_of_a_batch_of_four_is_pixel_equal_to_the_single_image_with_seed_plus_i(
    loaded: LoadedModel, ask: Ask
) -> None:
    together = generate(loaded, ask(num_images=4, seed=40))
    singles = [generate(loaded, ask(seed=40 + i))[0] for i in range(4)]
    assert [picture.seed for picture in together] == [40, 41, 42, 43]
    assert [picture.index for picture in together] == [0, 1, 2, 3]
    assert [picture.rgb for picture in together] == [picture.rgb for picture in singles]
    assert len({picture.rgb for picture in together}) == 4


def test_neighbours_in_a_batch_of_requests_do_not_change_a_picture(loaded: LoadedModel, ask: Ask) -> None:
    requests = [ask("a cat", seed=1), ask("a dog under a tree", seed=2, num_images=2), ask("一只猫", seed=3)]
    made = generate_batch(loaded, requests)
    for request, result in zip(requests, made, strict=True):
        assert [p.rgb for p in result.pictures] == [p.rgb for p in generate(loaded, request)]
        assert result.seconds > 0


@pytest.mark.parametrize("guidance", [0.0, 1.0, 4.0])
def test_the_picture_is_bit_equal_to_the_plain_diffusers_call(
    loaded: LoadedModel, tiny_folder: Path, ask: Ask, guidance: float
) -> None:
    plain = StableDiffusionPipeline.from_pretrained(tiny_folder, use_safetensors=True, dtype=torch.float32)
    plain.set_progress_bar_config(disable=True)
    image = plain(
        "a red apple",
        negative_prompt="blurry",
        num_inference_steps=3,
        guidance_scale=guidance,
        width=64,
        height=96,
        generator=torch.Generator("cpu").manual_seed(11),
    ).images[0]
    request = ask(negative_prompt="blurry", num_inference_steps=3, guidance_scale=guidance, height=96, seed=11)
    [ours] = generate(loaded, request)
    assert Image.frombytes("RGB", (ours.width, ours.height), ours.rgb).tobytes() == image.tobytes()


def test_an_ancestral_sampler_draws_its_noise_from_the_images_own_generator(loaded: LoadedModel, ask: Ask) -> None:
    together = generate(loaded, ask(num_images=3, seed=5, scheduler="Euler a"))
    assert [p.rgb for p in together] == [
        generate(loaded, ask(seed=5 + i, scheduler="Euler a"))[0].rgb for i in range(3)
    ]


def test_progress_counts_every_step_of_every_image(loaded: LoadedModel, ask: Ask) -> None:
    heard: list[tuple[int, int, bytes | None]] = []
    generate(
        loaded,
        ask(num_images=2, num_inference_steps=3),
        on_step=lambda step, of, preview: heard.append((step, of, preview)),
        wants_preview=lambda: len(heard) == 0,
    )
    assert [step for step, _, _ in heard] == [1, 2, 3, 4, 5, 6]
    assert {of for _, of, _ in heard} == {6}
    assert [preview is not None for _, _, preview in heard] == [True] + [False] * 5


def test_how_says_what_made_the_picture(loaded: LoadedModel, ask: Ask) -> None:
    how = generate(loaded, ask())[0].how
    assert how["model"] == "tiny"
    assert (how["device"], how["dtype"], how["batch_size"]) == ("cpu", "float32", 1)
    assert (how["scheduler"], how["sampler"]) == ("DDIMScheduler", "DDIM")
    assert how["safety_checker"] is False
    assert how["versions"]["torch"] == torch.__version__
    assert how["seconds"] > 0


def test_a_negative_prompt_without_guidance_is_said_to_have_no_effect(loaded: LoadedModel, ask: Ask) -> None:
    [picture] = generate(loaded, ask(negative_prompt="blurry", guidance_scale=0.0))
    assert "no effect without guidance" in picture.how["notes"][0]


def test_a_model_that_makes_nan_fails_with_a_reason_and_never_gives_a_black_picture(
    loaded: LoadedModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(loaded.pipe.vae, "decode", lambda z, **_: (torch.full((1, 3, 64, 64), math.nan),))
        with pytest.raises(GenerationFailed, match="NaN"):
            generate(loaded, ask())
    assert generate(loaded, ask())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("unable to mmap 44706440 bytes from file <model.safetensors>: Cannot allocate memory (12)"),
        MemoryError(),
    ],
)
def test_running_out_of_memory_is_an_error_of_that_picture_and_the_next_one_works(
    loaded: LoadedModel, ask: Ask, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    before = generate(loaded, ask())[0].rgb

    def exhausted(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(loaded.pipe.unet, "forward", exhausted)
        with pytest.raises(OutOfMemory, match="64x64"):
            generate(loaded, ask())
    assert generate(loaded, ask())[0].rgb == before


def test_a_failing_request_does_not_take_its_neighbours_along(loaded: LoadedModel, ask: Ask) -> None:
    good, bad = generate_batch(loaded, [ask(), ask(width=60)])
    assert len(good.pictures) == 1
    assert bad.error is not None
    assert bad.error.code == "generation_failed"
