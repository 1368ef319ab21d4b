"""A LocalEngine with the fast test maker, on a models folder that lists one model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from app.catalog import Catalog, ModelEntry
from app.core.schema import GenerationRequest
from app.core.settings import Settings
from app.engine.base import Work
from app.engine.local import LocalEngine

CATALOG = """
[one]
title = "One"
path = "one"
[two]
title = "Two"
path = "two"
"""

MakeEngine = Callable[..., LocalEngine]


@pytest.fixture(scope="package", autouse=True)
def _one_core_for_each_child() -> Iterator[None]:
    """Other tests use the other cores: threads that wait for each other there make a picture several times slower."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[MakeEngine]:
    """Engines with the fast maker; keywords are settings. All are closed at the end."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "catalog.toml").write_text(CATALOG)
    engines: list[LocalEngine] = []

    def make(
        command: list[str] | None = None, module: str | None = None, device: str = "cpu", **values: object
    ) -> LocalEngine:
        defaults = {"engine": "test", "default_model": "one", "output_folder": tmp_path / "models" / "pictures"}
        folders = {"models_folder": tmp_path / "models", "data_folder": tmp_path / "data"}
        settings = Settings(**{**defaults, **folders, **values})
        catalog = Catalog(settings)
        engines.append(LocalEngine(device, settings=settings, catalog=catalog, command=command, module=module))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(make_engine: MakeEngine) -> LocalEngine:
    """An engine with the fast maker."""
    return make_engine()


def a_job(prompt: str = "a red apple", *, entry: ModelEntry | None = None, **values: object) -> Work:
    """The first attempt at a job whose request is resolved; its model is the folder of that name if none is given."""
    fields = {
        "model": entry.key if entry else "one",
        "num_inference_steps": 4,
        "guidance_scale": 1.0,
        "width": 64,
        "height": 64,
        "seed": 7,
        "scheduler": "default",
    } | values
    request = GenerationRequest(prompt=prompt, **fields)
    model = str(request.model)
    entry = entry or ModelEntry(key=model, title=model, path=model)
    images = tuple(range(request.num_images))
    return Work(job_id=str(uuid4()), attempt=1, request=request, entry=entry, images=images)
