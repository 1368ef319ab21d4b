"""The engine with real pipelines: a small one with random weights."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from app.catalog import Catalog
from app.core.errors import ModelNotInstalled, ModelRefused
from app.core.settings import Settings
from app.engine.base import EngineEvent
from app.engine.local import LocalEngine
from tests.engine.conftest import a_job
from tests.engine.watching import ignore, made_by, nobody
from tests.pipelines import catalog_toml, make_tiny_sd

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """One engine for all tests here: its child needs seconds to import torch."""
    folder = tmp_path_factory.mktemp("models")
    make_tiny_sd(folder / "tiny")
    catalog_toml(
        folder,
        tiny={"title": "Tiny", "path": "tiny"},
        absent={"title": "Absent", "repository": "nobody/nothing"},
        broken={"title": "Broken", "path": "broken"},
    )
    (folder / "broken").mkdir()
    settings = Settings(models_folder=folder, default_model="tiny", device="cpu", previews_per_s=30)
    engine = LocalEngine("cpu", settings=settings, catalog=Catalog(settings))
    yield engine
    engine.close()


def test_a_real_pipeline_makes_the_same_pixels_alone_in_a_batch_and_after_a_restart(real: LocalEngine) -> None:
    events = list[EngineEvent]()
    jobs = [a_job(f"apple {number}", model="tiny", num_images=2, seed=number) for number in range(2)]
    outcomes = made_by(real, jobs, events.append, nobody)
    assert [len(outcome.pictures) for outcome in outcomes] == [2, 2]
    assert outcomes[0].pictures[0].how["model"] == "tiny"
    assert {event.kind for event in events} == {"loading", "step"}
    assert any(event.preview for event in events)
    assert real.status().loaded_models == ("tiny",)
    [alone] = made_by(real, [a_job("apple 1", model="tiny", seed=2)], ignore, nobody)
    assert alone.pictures[0].rgb == outcomes[1].pictures[1].rgb
    os.kill(real.status().pid or 0, signal.SIGKILL)
    while real.status().alive:
        time.sleep(0.01)
    [again] = made_by(real, [jobs[0]], ignore, nobody)
    assert [picture.rgb for picture in again.pictures] == [picture.rgb for picture in outcomes[0].pictures]


def test_a_real_run_is_cancelled_within_a_step_and_the_next_one_works(real: LocalEngine) -> None:
    steps = list[EngineEvent]()
    job = a_job(model="tiny", num_inference_steps=500)
    [outcome] = made_by(real, [job], steps.append, lambda _job: len(steps) > 3)
    assert outcome.cancelled
    assert len(steps) < 100
    [after] = made_by(real, [a_job(model="tiny")], ignore, nobody)
    assert len(after.pictures) == 1


def test_a_model_that_cannot_be_loaded_says_why_and_the_child_stays(real: LocalEngine) -> None:
    real.start()
    pid = real.status().pid
    with pytest.raises(ModelNotInstalled):
        real.load("absent", ignore)
    with pytest.raises(ModelRefused):
        real.load("broken", ignore)
    [outcome] = made_by(real, [a_job(entry=real._catalog.get("absent"))], ignore, nobody)
    assert outcome.error is not None
    assert outcome.error.code == "model_not_installed"
    assert real.status().pid == pid
