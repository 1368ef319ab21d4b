"""OpenVINO in the place of torch: the same pictures within rounding, and back to torch for what it was not made for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from app.catalog import ModelEntry
from app.core.errors import ModelRefused
from app.core.settings import Compute, Tier
from app.diffusion.cache import ModelCache
from app.diffusion.compiled import choose
from app.diffusion.compiled.choose import Computing
from app.diffusion.compiled.replace import Compiled
from app.diffusion.generate import generate
from app.diffusion.pipelines import LoadedModel
from tests.diffusion.conftest import Ask


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of translations that all tests here share: a translation takes seconds."""
    return tmp_path_factory.mktemp("compiled")


def load(entry: ModelEntry, folder: Path, wish: Compute = Compute.OPENVINO, **wishes: object) -> LoadedModel:
    return ModelCache("cpu", computing=Computing(wish, folder), **wishes).load(entry, Path("/"))


@pytest.fixture(scope="module")
def taken_over(tiny_entry: ModelEntry, kept: Path) -> LoadedModel:
    return load(tiny_entry, kept)


def stand_in(model: LoadedModel) -> Compiled:
    found = model.pipe.unet.forward
    assert isinstance(found, Compiled)
    return found


def decibels(one: bytes, other: bytes) -> float:
    a, b = (np.frombuffer(pixels, np.uint8).astype(float) for pixels in (one, other))
    return float(10 * np.log10(255**2 / max(float(((a - b) ** 2).mean()), 1e-9)))


def test_openvino_draws_what_torch_draws_at_any_size_and_says_so_in_the_recipe(
    taken_over: LoadedModel, loaded: LoadedModel, ask: Ask
) -> None:
    for wish in (ask(), ask(width=96), ask(guidance_scale=1.0), ask()):
        made, usual = generate(taken_over, wish)[0], generate(loaded, wish)[0]
        assert decibels(made.rgb, usual.rgb) > 40
        assert made.how["compute"].startswith("openvino 2026.")
        assert "compute" not in usual.how
    assert generate(taken_over, ask())[0].rgb == generate(taken_over, ask())[0].rgb
    assert not stand_in(taken_over).given_up


def test_a_model_is_translated_once(taken_over: LoadedModel, tiny_entry: ModelEntry, kept: Path, ask: Ask) -> None:
    files = {file: file.stat().st_mtime_ns for file in kept.iterdir()}
    assert sorted(file.suffix for file in files) == [".bin", ".bin", ".xml", ".xml"]
    again = load(tiny_entry, kept)
    assert {file: file.stat().st_mtime_ns for file in kept.iterdir()} == files
    assert generate(again, ask())[0].rgb == generate(taken_over, ask())[0].rgb


def test_an_answer_that_is_not_torchs_is_not_believed(
    tiny_entry: ModelEntry, kept: Path, loaded: LoadedModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_entry, kept)
    own = Compiled._infer
    monkeypatch.setattr(Compiled, "_infer", lambda self, request, inputs: own(self, request, inputs) * 2)
    made = generate(model, ask())[0]
    assert made.rgb == generate(loaded, ask())[0].rgb
    assert "compute" not in made.how
    assert "100% away from torch's" in stand_in(model).given_up


def test_what_was_not_translated_is_torchs(taken_over: LoadedModel, loaded: LoadedModel) -> None:
    """A control's residuals, and times that differ from row to row."""
    numbers = torch.Generator().manual_seed(1)
    sample = torch.randn(2, 4, 8, 8, generator=numbers)
    words = torch.randn(2, 77, loaded.pipe.unet.config.cross_attention_dim, generator=numbers)
    times = torch.tensor([10, 900])
    with torch.no_grad():
        made, usual = (model.pipe.unet(sample, times, words).sample for model in (taken_over, loaded))
    assert torch.equal(made, usual)


def test_torch_computes_where_openvino_was_not_asked_for_or_does_not_fit(
    tiny_entry: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = load(tiny_entry, tmp_path, Compute.AUTO)
    assert (small.notes, list(tmp_path.iterdir())) == ([], [])  # it is fast anyway
    moved = load(tiny_entry, tmp_path, tier=Tier.GROUP_OFFLOAD)
    assert moved.notes == ["computed by torch: the memory tier group-offload moves or changes the weights"]
    monkeypatch.setattr(choose, "translated", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    assert load(tiny_entry, tmp_path).notes == ["computed by torch: OSError: the disk is full"]
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    assert load(tiny_entry, tmp_path, Compute.AUTO).notes == []
    with pytest.raises(ModelRefused, match="not installed") as caught:
        load(tiny_entry, tmp_path)
    assert caught.value.hint == "pip install -r requirements-openvino.txt"
