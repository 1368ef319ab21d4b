"""One small model for all tests of this room, and ways to load and ask for pictures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.catalog import ModelEntry, folder_entry
from app.core.schema import GenerationRequest
from app.diffusion.cache import ModelCache
from app.diffusion.pipelines import LoadedModel
from tests.pipelines import make_tiny_sd

Ask = Callable[..., GenerationRequest]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved random StableDiffusionPipeline. Read only: tests that change files copy it."""
    return make_tiny_sd(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_entry(tiny_folder: Path) -> ModelEntry:
    return folder_entry(tiny_folder)


@pytest.fixture(scope="session")
def loaded(tiny_entry: ModelEntry) -> LoadedModel:
    return ModelCache("cpu").load(tiny_entry, Path("/"))


@pytest.fixture
def ask() -> Ask:
    """A resolved request for a small quick picture; keyword arguments change fields."""

    def build(prompt: str = "a red apple", **fields: object) -> GenerationRequest:
        values = {
            "prompt": prompt, "model": "tiny", "num_inference_steps": 2, "guidance_scale": 4.0,
            "width": 64, "height": 64, "seed": 7, "scheduler": "default",
        }  # fmt: skip
        return GenerationRequest.model_validate(values | fields)

    return build
