"""The engine with real pipelines: a small one with random weights."""

import hashlib
import io
import os
import signal
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from diffusers import StableDiffusionPipeline
from PIL import Image

from app.catalog import Catalog
from app.core.errors import EngineCrashed, ModelNotInstalled, ModelRefused
from app.core.schema import GenerationRequest
from app.core.settings import Settings
from app.diffusion.starts import Held
from app.engine.base import EngineEvent, Work
from app.engine.local import LocalEngine
from tests.adapters import save_ip_adapter, save_t2i_adapter
from tests.controls import save_control
from tests.diffusion.test_starts import ITS_MASK, PICTURES, START
from tests.editors import save_editor
from tests.engine.conftest import a_job
from tests.engine.watching import Noting, ignore, made_by, nobody
from tests.pipelines import catalog_toml, make_tiny_redrawer, make_tiny_sd

# diffusers tells of outdated options of the pipelines that follow an instruction.
pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore::FutureWarning")]


UNIT = {"image": START}
HELD = [{"model": "net", **UNIT}, {"model": "lines", **UNIT}, {"model": "looks", **UNIT}]
FROM_ONE = [{"role": "image", "sha256": START}]
OF_EACH_TASK: tuple[dict[str, Any], ...] = (
    {"control": HELD},
    {"task": "image", "inputs": FROM_ONE, "control": HELD[1:]},
    {"task": "inpaint", "inputs": [*FROM_ONE, {"role": "mask", "sha256": ITS_MASK}], "control": HELD[:1]},
    {"enable_hr": True},
    {"model": "edits", "task": "edit", "inputs": FROM_ONE},
)


def resolved(engine: LocalEngine, **fields: Any) -> Work:
    """A job of two pictures as it would be submitted."""
    values = {"prompt": "a cat", "model": "tiny", "width": 64, "height": 64, "num_images": 2, "num_inference_steps": 4}
    asked = engine._catalog.resolve_with_entry(GenerationRequest.model_validate(values | {"seed": 7} | fields))
    return Work(job_id=str(uuid4()), attempt=1, request=asked.request, entry=asked.entry, images=(0, 1))


def kill(engine: LocalEngine) -> None:
    os.kill(engine.status().pid or 0, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while engine.status().alive:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """One engine for all tests here: its child needs seconds to import torch."""
    folder = tmp_path_factory.mktemp("models")
    pipe = StableDiffusionPipeline.from_pretrained(make_tiny_sd(folder / "tiny"))
    save_control("sd15", pipe, folder / "net")
    save_ip_adapter("sd15", pipe, folder / "looks")
    save_t2i_adapter("sd15", folder / "lines")
    save_editor("pix2pix", folder / "edits")
    make_tiny_redrawer(folder / "anew")
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
    kill(real)
    [again] = made_by(real, [jobs[0]], ignore, nobody)
    assert [picture.rgb for picture in again.pictures] == [picture.rgb for picture in outcomes[0].pictures]


def test_what_a_kill_leaves_of_each_task_is_made_as_it_would_have_been(real: LocalEngine) -> None:
    jobs = [resolved(real, **fields) for fields in OF_EACH_TASK]
    whole = [made_by(real, [job], inputs=PICTURES)[0] for job in jobs]
    assert [(result.error, len(result.pictures)) for result in whole] == [(None, 2)] * len(jobs)
    noting = Noting(on_picture=lambda _picture: os.kill(real.status().pid or 0, signal.SIGKILL))
    with pytest.raises(EngineCrashed):
        real.run(jobs[:1], PICTURES, noting)
    for job, result in zip(jobs, whole, strict=True):
        [rest] = made_by(real, [job.model_copy(update={"attempt": 2, "images": (1,)})], inputs=PICTURES)
        assert [picture.rgb for picture in rest.pictures] == [result.pictures[1].rgb], job.request.task


def test_a_real_run_is_cancelled_within_a_step_and_the_next_one_works(real: LocalEngine) -> None:
    steps = list[EngineEvent]()
    job = a_job(model="tiny", num_inference_steps=500)
    [outcome] = made_by(real, [job], steps.append, lambda _job: len(steps) > 3)
    assert outcome.cancelled
    assert len(steps) < 100
    [after] = made_by(real, [a_job(model="tiny")], ignore, nobody)
    assert len(after.pictures) == 1


def test_a_picture_is_drawn_anew_larger_by_a_real_pipeline_in_the_child(real: LocalEngine) -> None:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((140, 16)).convert("RGB").save(stream, "PNG")
    name = hashlib.sha256(stream.getvalue()).hexdigest()
    entry, inputs = real._catalog.get("anew"), Held({name: stream.getvalue()})

    def job(seed: int) -> Work:
        there = ({"role": "image", "sha256": name},)
        return a_job(entry=entry, task="upscale", inputs=there, scale=4, num_inference_steps=3, seed=seed)

    events = list[EngineEvent]()
    [first] = made_by(real, [job(1)], events.append, nobody, inputs)
    assert first.error is None
    picture = first.pictures[0]
    assert (picture.width, picture.height, picture.how["redrawn"]["steps"]) == (560, 64, 3)
    assert [(event.step, event.of) for event in events if event.kind == "step"] == [(step, 6) for step in range(1, 7)]
    assert "loading" in {event.kind for event in events}
    assert "anew" in real.status().loaded_models
    [again] = made_by(real, [job(1)], ignore, nobody, inputs)
    [other] = made_by(real, [job(2)], ignore, nobody, inputs)
    assert (again.pictures[0].rgb == picture.rgb, other.pictures[0].rgb == picture.rgb) == (True, False)
    heard = list[EngineEvent]()
    [stopped] = made_by(real, [job(1)], heard.append, lambda _job: len(heard) >= 2, inputs)
    assert (stopped.cancelled, stopped.pictures) == (True, ())
    assert real.unload("anew")


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
