"""Pictures from pictures with pipelines that know only words: the same as diffusers makes where it has a class."""

import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline

from app.diffusion.noised import noised
from app.diffusion.samplers import make_scheduler
from app.diffusion.starts import Start
from tests.diffusion.test_starts import COLOURS, MASK, SIZE
from tests.pipelines import make_tiny_sd

PICTURES = (COLOURS, MASK.convert("RGB"))
# One of each way to count steps: times or sigmas, one or two a step, with a memory or without, and with noise in each.
SAMPLERS = ("Euler", "Euler a", "DDIM", "DPM++ 2M Karras", "DPM++ 2M SDE", "Heun", "DPM2", "UniPC", "LCM", "PLMS")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusionPipeline:
    """A pipeline that diffusers has a class for pictures from pictures for."""
    pipe = StableDiffusionPipeline.from_pretrained(make_tiny_sd(tmp_path_factory.mktemp("words") / "tiny"))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def generators() -> list[torch.Generator]:
    return [torch.Generator("cpu").manual_seed(7 + row) for row in range(len(PICTURES))]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("strength", [0.3, 0.75, 1.0])
def test_it_makes_what_the_class_that_diffusers_has_makes(
    words: StableDiffusionPipeline, sampler: str, strength: float
) -> None:
    own = words.scheduler
    prompts = ["a red apple", "a cat"]
    arguments = {"num_inference_steps": 8, "guidance_scale": 4.0, "output_type": "pt"}
    plain = StableDiffusionImg2ImgPipeline(**words.components)
    plain.set_progress_bar_config(disable=True)
    plain.scheduler = make_scheduler(own, sampler, type(words).__name__)
    wanted = plain(prompts, image=list(PICTURES), strength=strength, generator=generators(), **arguments).images
    try:
        words.scheduler = make_scheduler(own, sampler, type(words).__name__)
        noise = generators()
        call = noised(words, [Start(picture) for picture in PICTURES], strength, noise)
        made = call(prompt=prompts, width=SIZE[0], height=SIZE[1], generator=noise, **arguments).images
    finally:
        words.scheduler = own
    # Where the latents' numbers lie in memory rounds them otherwise: a thousandth of one of 256 levels.
    assert float((made - wanted).abs().max()) < 1e-5
    assert "prepare_latents" not in vars(words)


def test_a_call_that_fails_leaves_the_pipeline_as_it_was(words: StableDiffusionPipeline) -> None:
    before = words("a cat", num_inference_steps=2, generator=torch.Generator("cpu").manual_seed(1), output_type="pt")
    with pytest.raises(ValueError, match="prompt"):
        noised(words, [Start(COLOURS)], 0.5, generators()[:1])(prompt=None, generator=generators()[:1])
    after = words("a cat", num_inference_steps=2, generator=torch.Generator("cpu").manual_seed(1), output_type="pt")
    assert torch.equal(before.images, after.images)
