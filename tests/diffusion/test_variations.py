"""Variations of a seed: the noise between two seeds, as A1111 has it, in every family whose latents we make."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from app.catalog import folder_entry
from app.core.schema import GenerationRequest
from app.diffusion.cache import ModelCache
from app.diffusion.checkpoints import pipeline_class
from app.diffusion.generate import generate
from app.diffusion.noise import between
from app.diffusion.pipelines import LoadedModel
from app.families import family_of
from app.picture.recipe import request_of
from tests.diffusion.test_starts import PICTURES, START
from tests.families import save

SIDE = 64
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def slerp(val: float, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """A1111's own, `modules/rng.py`."""
    low_norm = low / torch.norm(low, dim=1, keepdim=True)
    high_norm = high / torch.norm(high, dim=1, keepdim=True)
    omega = torch.acos((low_norm * high_norm).sum(1))
    so = torch.sin(omega)
    return (torch.sin((1.0 - val) * omega) / so).unsqueeze(1) * low + (torch.sin(val * omega) / so).unsqueeze(1) * high


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))


def packed(latents: torch.Tensor) -> torch.Tensor:
    """FLUX's patches of 2x2."""
    channels, high, wide = latents.shape
    return latents.view(channels, high // 2, 2, wide // 2, 2).permute(1, 3, 0, 2, 4).reshape(1, -1, 4 * channels)


def sd_latents(latents: torch.Tensor) -> torch.Tensor:
    return latents[None]


# Family → channels of its latents, and how its pipeline takes them.
LATENTS: dict[str, tuple[int, Callable[[torch.Tensor], torch.Tensor]]] = {"sd15": (4, sd_latents), "flux": (16, packed)}


def ask(**fields: Any) -> GenerationRequest:
    values = {
        "prompt": "a red apple", "model": "x", "num_inference_steps": 2, "guidance_scale": 4.0, "width": SIDE,
        "height": SIDE, "seed": 7, "scheduler": "default", "subseed": 100, "subseed_strength": 0.3,
    }  # fmt: skip
    return GenerationRequest.model_validate(values | fields)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {name: save(name, root / name) for name in LATENTS}


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> LoadedModel:
    return ModelCache("cpu").load(folder_entry(folders["sd15"]), Path("/"))


def draw(loaded: LoadedModel, **fields: Any) -> list[bytes]:
    return [picture.rgb for picture in generate(loaded, ask(**fields), pictures=PICTURES)]


@pytest.mark.parametrize("name", list(LATENTS))
def test_a_variation_is_plain_diffusers_with_a1111s_noise(name: str, folders: dict[str, Path]) -> None:
    loaded = ModelCache("cpu").load(folder_entry(folders[name]), Path("/"))
    plain = pipeline_class(family_of(type(loaded.pipe).__name__).pipeline).from_pretrained(folders[name])
    plain.set_progress_bar_config(disable=True)
    channels, as_taken = LATENTS[name]
    shape = (channels, SIDE // 8, SIDE // 8)
    [first, second] = generate(loaded, ask(num_images=2))
    for image, picture in enumerate((first, second)):
        latents = as_taken(slerp(0.3, noise(7, *shape), noise(100 + image, *shape)))
        wanted = plain("a red apple", latents=latents, num_inference_steps=2, guidance_scale=4.0, width=SIDE,
                       height=SIDE).images[0]  # fmt: skip
        assert picture.rgb == wanted.tobytes()
    assert (first.seed, second.seed, second.how["subseed"]) == (7, 7, 101)


def test_from_near_to_far_it_goes_from_the_seed_to_the_subseed(loaded: LoadedModel) -> None:
    own, other = draw(loaded, subseed_strength=0.0), draw(loaded, seed=100, subseed_strength=0.0)
    assert draw(loaded, subseed_strength=1.0) == other
    one, another = noise(1, 4, 8, 8), noise(2, 4, 8, 8)
    ways = [float((between(share, one, another) - one).norm()) for share in (0.0, 0.05, 0.3, 0.7, 1.0)]
    assert ways == sorted(ways)
    assert draw(loaded, subseed=7, subseed_strength=0.5) == own  # one seed is as far from itself as it can be
    assert draw(loaded, num_images=2, subseed_strength=0.0)[0] == own[0]


def test_a_variation_made_alone_again_from_its_recipe_is_the_same(loaded: LoadedModel) -> None:
    asked = ask(num_images=3)
    third = generate(loaded, asked)[2]
    recipe = {"request": asked.model_dump(mode="json"), "seed": third.seed, "index": 2, "how": third.how}
    [again] = generate(loaded, request_of(recipe))
    assert again.rgb == third.rgb


def test_a_picture_from_a_picture_varies_too_and_the_model_is_left_as_it_was(loaded: LoadedModel) -> None:
    start = {"task": "image", "inputs": [{"sha256": START}], "strength": 0.6, "width": 64, "height": 96}
    varied = draw(loaded, num_images=2, **start)
    assert len({*varied, *draw(loaded, subseed_strength=0.0, **start)}) == 3
    assert draw(loaded, subseed=101, **start) == varied[1:]
    assert "prepare_latents" not in vars(loaded.pipe)
