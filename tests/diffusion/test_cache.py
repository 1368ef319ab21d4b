"""Models in memory: bounded by bytes, least recently used first, nothing left behind."""

import weakref
from pathlib import Path

import psutil
import pytest

from app.catalog import ModelEntry, folder_entry
from app.core.errors import ModelRefused, OutOfMemory
from app.diffusion import cache as cache_module
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from tests.diffusion.conftest import Ask
from tests.pipelines import make_tiny_sd

MODEL_BYTES = 4_400_000


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


def test_twenty_loads_and_unloads_leave_the_process_as_large_as_before(entries: list[ModelEntry], ask: Ask) -> None:
    cache, process = ModelCache("cpu"), psutil.Process()
    sizes = []
    for cycle in range(20):
        generate(cache.load(entries[cycle % 3], Path("/")), ask(num_inference_steps=1))
        cache.clear()
        sizes.append(process.memory_info().rss)
    # The first cycles fill allocator pools; after them nothing may grow by a model's size.
    assert sizes[-1] - sizes[7] < MODEL_BYTES
