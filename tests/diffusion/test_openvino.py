"""OpenVINO in the place of torch: the same pictures within rounding, and back to torch for what it was not made for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from app.catalog import ModelEntry, folder_entry
from app.core.errors import ModelRefused
from app.core.models import ModelFacts
from app.core.settings import Compute, Tier
from app.diffusion.cache import ModelCache
from app.diffusion.compiled import choose
from app.diffusion.compiled.choose import Computing
from app.diffusion.compiled.replace import Compiled
from app.diffusion.generate import generate
from app.diffusion.pipelines import LoadedModel
from app.tiers import compute
from app.tiers.choose import Room
from app.tiers.compute import expected_compute
from app.tiers.plans import GIB, plan_of
from tests import families
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


@pytest.mark.filterwarnings("ignore::FutureWarning")  # diffusers' T5 pipelines tell of packages they can do without
@pytest.mark.parametrize("name", ["pixart-sigma", "sd3", "flux"])
def test_transformers_draw_with_openvino_what_torch_draws_at_any_size(name: str, tmp_path: Path, ask: Ask) -> None:
    entry = folder_entry(families.save(name, tmp_path / name))
    usual, taken = ModelCache("cpu").load(entry, Path("/")), load(entry, tmp_path / "compiled")
    for wish in (ask(), ask("two words more", width=96)):
        made = generate(taken, wish)[0]
        assert decibels(made.rgb, generate(usual, wish)[0].rgb) > 40
        assert made.how["compute"].startswith("openvino 2026.")
    assert not taken.pipe.transformer.forward.given_up


def test_what_computes_and_why_is_known_before_a_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelFacts(key="a", title="A", pipeline="StableDiffusionPipeline", parameters=1_066_000_000)
    room = Room(64 * GIB, None, 32 * GIB, fast_half=True)

    def said(wish: Compute = Compute.AUTO, here: Room = room, **changes: object) -> tuple[Compute, str, bool]:
        changed = model.model_copy(update=changes)
        plan = plan_of(changed, here)
        assert plan is not None
        found = expected_compute(changed, plan, here, wish)
        assert found is not None
        return found.by, found.why, found.fits_wish

    torch_ = Compute.TORCH
    assert said()[0] is said(Compute.OPENVINO)[0] is Compute.OPENVINO
    assert said(torch_) == (torch_, "ATELIER_COMPUTE says so", True)
    assert said(here=Room(64 * GIB, 24 * GIB, 32 * GIB)) == (torch_, "pictures are made on a GPU", True)
    assert said(parameters=50_000_000) == (torch_, "the model is small", True)
    assert said(Compute.OPENVINO, parameters=50_000_000)[0] is Compute.OPENVINO
    assert said(lora="a.safetensors") == (torch_, "a LoRA is part of it", True)
    assert said(here=Room(64 * GIB, None, 5 * GIB, fast_half=True))[1] == "there is no room for the weights twice more"
    assert said(Compute.OPENVINO, pipeline="SanaPipeline")[1:] == (
        "OpenVINO computes only Stable Diffusion, Stable Diffusion XL, Stable Diffusion 3, FLUX.1, PixArt-Sigma",
        False,
    )
    monkeypatch.setattr(compute, "find_spec", lambda name: None)
    assert said() == (torch_, "the package openvino is not installed", True)


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
    assert "100.0% away from torch's" in stand_in(model).given_up


@pytest.mark.parametrize(
    ("dtype", "believed", "given_up"), [(torch.float32, 0.009, 0.011), (torch.bfloat16, 0.09, 0.11)]
)
def test_what_is_off_by_a_little_more_than_the_tolerance_is_given_up(
    dtype: torch.dtype, believed: float, given_up: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 dB in float32; in bfloat16 20 dB, see docs/performance.md."""
    monkeypatch.setattr(Compiled, "_get_ready", lambda self, shapes: self._ready.setdefault(shapes, object()))
    for off, told in ((believed, False), (given_up, True)):
        module = torch.nn.Identity()
        module.weight = torch.nn.Parameter(torch.zeros(1, dtype=dtype))
        monkeypatch.setattr(Compiled, "_infer", lambda self, request, inputs, off=off: inputs[0].float() * (1 + off))
        compiled = Compiled(module, Path("unused"), lambda *inputs: inputs, lambda made: made)
        asked = torch.ones(64, dtype=dtype)
        assert torch.equal(compiled(asked), asked) is told
        assert bool(compiled.given_up) is told


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
    monkeypatch.setattr(compute, "find_spec", lambda name: None)
    assert load(tiny_entry, tmp_path, Compute.AUTO).notes == []
    with pytest.raises(ModelRefused, match="not installed") as caught:
        load(tiny_entry, tmp_path)
    assert caught.value.hint == "pip install -r requirements-openvino.txt"
