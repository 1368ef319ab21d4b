"""Models in memory: bounded by bytes, least recently used first, nothing left behind."""

import json
import os
import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch

from app.catalog import ModelEntry, folder_entry
from app.core.errors import ModelRefused, OutOfMemory
from app.diffusion import cache as cache_module
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from tests.diffusion.conftest import Ask
from tests.pipelines import make_tiny_sd
from tests.running import ROOT

MODEL_BYTES = 4_400_000
UNET = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[ModelEntry]:
    folder = tmp_path_factory.mktemp("three")
    return [folder_entry(make_tiny_sd(folder / name, seed=i)) for i, name in enumerate("abc")]


def test_the_least_recently_used_model_goes_when_the_budget_is_full(entries: list[ModelEntry]) -> None:
    cache = ModelCache("cpu", budget_bytes=2 * MODEL_BYTES + 1_000_000)
    a, b, c = entries
    cache.load(a, Path("/"))
    cache.load(b, Path("/"))
    cache.load(a, Path("/"))
    assert cache.loaded() == ("b", "a")
    cache.load(c, Path("/"))
    assert cache.loaded() == ("a", "c")


def test_without_a_budget_the_machines_free_memory_bounds_it(
    entries: list[ModelEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ModelCache("cpu")
    cache.load(entries[0], Path("/"))
    cache.load(entries[1], Path("/"))
    assert cache.loaded() == ("a", "b")
    monkeypatch.setattr(cache_module, "memory", lambda device: (1_000_000, 8_000_000))
    cache.load(entries[2], Path("/"))
    assert cache.loaded() == ("c",)


def test_when_loading_runs_out_of_memory_the_others_are_unloaded_for_it(
    entries: list[ModelEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ModelCache("cpu")
    cache.load(entries[0], Path("/"))
    cache.load(entries[1], Path("/"))
    load, tried = cache_module.load_pipeline, []

    def tight(*args, **kwargs):  # type: ignore[no-untyped-def]
        tried.append(cache.loaded())
        if cache.loaded():
            raise OutOfMemory
        return load(*args, **kwargs)

    monkeypatch.setattr(cache_module, "load_pipeline", tight)
    cache.load(entries[2], Path("/"))
    assert tried == [("a", "b"), ("b",), ()]
    assert cache.loaded() == ("c",)


def test_a_model_that_fails_to_load_leaves_the_loaded_ones_alone(entries: list[ModelEntry], tmp_path: Path) -> None:
    cache = ModelCache("cpu")
    cache.load(entries[0], Path("/"))
    with pytest.raises(ModelRefused):
        cache.load(ModelEntry(key="x", title="x", path="nowhere"), tmp_path)
    assert cache.loaded() == ("a",)


def test_an_unloaded_model_is_gone_from_memory(entries: list[ModelEntry], ask: Ask) -> None:
    cache = ModelCache("cpu")
    loaded = cache.load(entries[0], Path("/"))
    generate(loaded, ask())
    weights = weakref.ref(next(loaded.pipe.unet.parameters()))
    del loaded
    assert cache.unload("a")
    assert weights() is None


# Components that models have in common


def with_other_unet(folder: Path, target: Path, seed: int) -> ModelEntry:
    """A copy of a model, file by file, whose UNet is another one."""
    shutil.copytree(folder, target)
    other = make_tiny_sd(target.parent / f"{target.name}-other", seed=seed)
    shutil.copy(other / "unet" / UNET, target / "unet" / UNET)
    return folder_entry(target)


def test_models_have_equal_components_in_memory_once(tiny_folder: Path, tmp_path: Path, ask: Ask) -> None:
    first, second = folder_entry(tiny_folder), with_other_unet(tiny_folder, tmp_path / "finetune", seed=5)
    alone = {entry.key: generate(ModelCache("cpu").load(entry, Path("/")), ask())[0].rgb for entry in (first, second)}
    cache = ModelCache("cpu")
    one, two = cache.load(first, Path("/")), cache.load(second, Path("/"))
    assert one.pipe.text_encoder is two.pipe.text_encoder
    assert one.pipe.vae is two.pipe.vae
    assert one.pipe.unet is not two.pipe.unet
    assert one.pipe.scheduler is not two.pipe.scheduler
    for loaded in (one, two, one):
        assert generate(loaded, ask())[0].rgb == alone[loaded.entry.key]
    cache.unload(first.key)
    assert generate(two, ask())[0].rgb == alone[second.key]
    shared = weakref.ref(two.pipe.vae)
    again = cache.load(first, Path("/"))
    assert again.pipe.vae is shared()
    del one, two, again, loaded
    cache.clear()
    assert shared() is None


def test_a_component_that_differs_in_one_byte_or_in_its_configuration_is_not_shared(
    tiny_folder: Path, tmp_path: Path
) -> None:
    cache = ModelCache("cpu")
    first = cache.load(folder_entry(tiny_folder), Path("/"))
    copy = Path(shutil.copytree(tiny_folder, tmp_path / "copy"))
    weights = copy / "vae" / UNET
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    config = copy / "text_encoder" / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"layer_norm_eps": 1e-4, "_name_or_path": "elsewhere"}))
    second = cache.load(folder_entry(copy), Path("/"))
    assert first.pipe.vae is not second.pipe.vae
    assert first.pipe.text_encoder is not second.pipe.text_encoder
    assert first.pipe.unet is second.pipe.unet


def test_what_is_shared_counts_once_in_the_budget(tiny_folder: Path, tmp_path: Path) -> None:
    unet = (tiny_folder / "unet" / UNET).stat().st_size
    cache = ModelCache("cpu", budget_bytes=MODEL_BYTES + unet + 100_000)
    entries = [folder_entry(tiny_folder), with_other_unet(tiny_folder, tmp_path / "a", 1)]
    for entry in entries:
        cache.load(entry, Path("/"))
    assert cache.loaded() == ("tiny", "a")
    # A third UNet has no room; what the second model has in common with the third outlives the first.
    cache.load(with_other_unet(tiny_folder, tmp_path / "b", 2), Path("/"))
    assert cache.loaded() == ("a", "b")


def test_a_component_with_hooks_of_another_pipeline_is_not_shared(tiny_folder: Path, tmp_path: Path) -> None:
    cache = ModelCache("cpu")
    first = cache.load(folder_entry(tiny_folder), Path("/"))
    first.pipe.vae.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
    second = cache.load(folder_entry(Path(shutil.copytree(tiny_folder, tmp_path / "copy"))), Path("/"))
    assert first.pipe.vae is not second.pipe.vae
    assert first.pipe.text_encoder is second.pipe.text_encoder


MEASURE = """
import json, sys
from pathlib import Path
import psutil
from app.catalog import folder_entry
from app.core.schema import GenerationRequest
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate

entries = [folder_entry(Path(name)) for name in sys.argv[1:]]
request = GenerationRequest(prompt="a", model="m", num_inference_steps=1, guidance_scale=1.0, width=64, height=64,
                            seed=1, scheduler="default")
process, cache, sizes = psutil.Process(), ModelCache("cpu"), []
for cycle in range(24):
    generate(cache.load(entries[cycle % 2], Path("/")), request)
    cache.clear()
    sizes.append(process.memory_info().rss)
print(json.dumps(sizes))
"""


def test_twenty_cycles_of_two_models_leave_a_process_of_its_own_flat(tiny_folder: Path, tmp_path: Path) -> None:
    other = make_tiny_sd(tmp_path / "other", seed=9)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tiny_folder), str(other)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    sizes = json.loads(done.stdout.splitlines()[-1])
    settled, last = sizes[3], sizes[-1]  # four cycles fill the allocator's pools, twenty follow
    assert last - settled < 0.02 * settled, [size // 2**20 for size in sizes]


def weights_of(cache: ModelCache, entry: ModelEntry) -> torch.Tensor:
    return cache.load(entry, Path("/")).pipe.unet.conv_in.weight.clone()


def test_a_model_whose_files_are_others_now_is_loaded_anew(tmp_path: Path) -> None:
    for seed, name in enumerate(("model", "other", "third")):
        make_tiny_sd(tmp_path / name, seed=seed)
    fresh = {name: weights_of(ModelCache("cpu"), folder_entry(tmp_path / name)) for name in ("model", "other", "third")}
    cache, entry = ModelCache("cpu"), folder_entry(tmp_path / "model")
    first = cache.load(entry, Path("/"))
    assert cache.load(entry, Path("/")) is first
    shutil.move(tmp_path / "model", tmp_path / "old")
    shutil.copytree(tmp_path / "other", tmp_path / "model")
    assert torch.equal(weights_of(cache, entry), fresh["other"])
    (tmp_path / "model" / "unet" / UNET).write_bytes((tmp_path / "third" / "unet" / UNET).read_bytes())  # in its place
    assert torch.equal(weights_of(cache, entry), fresh["third"])
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(ModelRefused):
        cache.load(entry, Path("/"))
    assert cache.loaded() == ()


def test_parts_of_a_loaded_model_are_not_shared_once_their_files_are_others(tmp_path: Path) -> None:
    make_tiny_sd(tmp_path / "one", seed=1)
    make_tiny_sd(tmp_path / "two", seed=2)
    shutil.copytree(tmp_path / "one", tmp_path / "link")
    for file in (tmp_path / "link").rglob("*.safetensors"):
        original = tmp_path / "one" / file.relative_to(tmp_path / "link")
        file.unlink()
        file.symlink_to(original)
    cache = ModelCache("cpu")
    cache.load(folder_entry(tmp_path / "one"), Path("/"))
    new = (tmp_path / "two" / "unet" / UNET).read_bytes()
    (tmp_path / "one" / "unet" / UNET).unlink()
    (tmp_path / "one" / "unet" / UNET).write_bytes(new)
    wanted = weights_of(ModelCache("cpu"), folder_entry(tmp_path / "two"))
    assert torch.equal(weights_of(cache, folder_entry(tmp_path / "link")), wanted)
