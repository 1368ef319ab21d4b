"""The engine with real pipelines: a small one with random weights."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

from app.catalog import Catalog
from app.core.errors import EngineCrashed, ModelNotInstalled, ModelRefused
from app.core.settings import Settings
from app.engine.base import EngineEvent
from app.engine.local import LocalEngine
from tests.controls import save_control
from tests.diffusion.test_starts import PICTURES, START
from tests.editors import save_editor
from tests.engine.conftest import a_job
from tests.engine.watching import Noting, ignore, made_by, nobody
from tests.families import build
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
    save_editor("pix2pix", folder / "editor")
    save_control("sd15", build("sd15", folder / "work"), folder / "edges")
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


def kill(pid: int, event: EngineEvent) -> None:
    """End the child at its first step, and hear of nothing it had told before."""
    if event.kind == "step":
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_what_is_changed_by_instruction_or_held_by_control_is_the_same_after_a_kill_in_the_middle(
    real: LocalEngine,
) -> None:
    changed = {"task": "edit", "inputs": [{"role": "image", "sha256": START}], "num_inference_steps": 9}
    held = {"control": [{"model": "edges", "image": START}], "num_inference_steps": 9}
    edges = real._catalog.get("edges")
    entries = real._catalog.get("editor"), real._catalog.get("tiny").model_copy(update={"controls": (edges,)})
    for entry, fields in zip(entries, (changed, held), strict=True):
        job = a_job(entry=entry, **fields)
        assert real.can_run(entry, job.request.task)
        [wanted] = made_by(real, [job], inputs=PICTURES)
        pid = real.status().pid
        assert pid is not None
        noting = Noting(on_step=partial(kill, pid))
        with pytest.raises(EngineCrashed):
            real.run([job], PICTURES, noting)
        assert noting.pictures == {}
        [again] = made_by(real, [job], inputs=PICTURES)
        assert len(again.pictures) == 1
        assert [picture.rgb for picture in again.pictures] == [picture.rgb for picture in wanted.pictures]


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
