"""Every family of models, LoRA, one-file checkpoint, GGUF and model of the hub's cache runs in the confined child."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.catalog import Catalog
from app.core.errors import EngineCrashed
from app.core.settings import Settings
from app.core.task import Task
from app.engine.base import Work
from app.engine.local import LocalEngine
from app.families import family_of
from tests.diffusion.test_quantized import write_gguf
from tests.diffusion.test_starts import ITS_MASK, PICTURES, START
from tests.editors import EDITORS, save_editor
from tests.engine.conftest import a_job
from tests.engine.watching import Noting, ignore, made_by, nobody
from tests.families import FAMILIES, build, save
from tests.loras import save_lora
from tests.pipelines import (
    catalog_toml,
    make_tiny_latent_redrawer,
    make_tiny_redrawer,
    make_tiny_sd,
    make_tiny_upscaler,
)
from tests.single_files import save_single_file

# diffusers' older pipelines tell of outdated options and of packages that they can do without.
pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore::FutureWarning")]
UPSCALERS = {"swin2sr": make_tiny_upscaler, "x4": make_tiny_redrawer, "latent-x2": make_tiny_latent_redrawer}
OTHER_WEIGHTS = ("sd21", "sdxl-turbo", "qwen-image-lightning")  # of a class that another one has
REPOSITORY, COMMIT = "somebody/tiny", "1234567890abcdef1234567890abcdef12345678"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub cache with one model, whose files are links to blobs as huggingface_hub makes them."""
    hub = tmp_path_factory.mktemp("hub")
    storage = hub / f"models--{REPOSITORY.replace('/', '--')}"
    snapshot, blobs = storage / "snapshots" / COMMIT, storage / "blobs"
    blobs.mkdir(parents=True)
    made = make_tiny_sd(tmp_path_factory.mktemp("made") / "tiny")
    for number, file in enumerate(sorted(path for path in made.rglob("*") if path.is_file())):
        link = snapshot / file.relative_to(made)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, blobs / str(number))
        link.symlink_to(blobs / str(number))
    (storage / "refs").mkdir()
    (storage / "refs" / "main").write_text(COMMIT)
    return hub


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[LocalEngine]:
    """One confined child for all of them. It may not start without walls."""
    folder = tmp_path_factory.mktemp("models")
    for name in FAMILIES:
        save(name, folder / name)
    for name in EDITORS:
        save_editor(name, folder / name)
    for name, make in UPSCALERS.items():
        make(folder / name)
    make_tiny_sd(folder / "tiny")
    save_lora(folder / "loras" / "ink.safetensors")
    save_single_file(build("sd15", folder / "work"), folder / "one-file.safetensors")
    write_gguf(folder / "sd3", folder / "sd3.gguf", quantized=True)
    catalog_toml(
        folder,
        tiny={"title": "Tiny", "path": "tiny"},
        sd3={"title": "3", "path": "sd3", "pipeline": "StableDiffusion3Pipeline"},
        sd15={"title": "1", "path": "sd15"},
        one={"title": "One file", "path": "one-file.safetensors", "config": "sd15"},
        gguf={"title": "G", "path": "sd3", "transformer": "sd3.gguf", "pipeline": "StableDiffusion3Pipeline"},
        hub={"title": "Hub", "repository": REPOSITORY},
    )
    settings = Settings(
        models_folder=folder,
        data_folder=tmp_path_factory.mktemp("data"),
        default_model="tiny",
        device="cpu",
        confine="required",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", str(cache))
        engine = LocalEngine("cpu", settings=settings, catalog=Catalog(settings))
        yield engine
        engine.close()


def of_each_task(engine: LocalEngine, name: str) -> Iterator[Work]:
    """A job for each task that a model has a pipeline for: of two pictures, where it can make several."""
    entry = engine._catalog.get(name)
    if name in UPSCALERS:
        yield a_job(entry=entry, task=Task.UPSCALE, inputs=({"role": "image", "sha256": START},), scale=2)
        return
    picture, mask = {"role": "image", "sha256": START}, {"role": "mask", "sha256": ITS_MASK}
    for task in (Task.TEXT, Task.IMAGE, Task.INPAINT, Task.EDIT):
        if family_of(entry.pipeline).can(task):
            inputs = () if task is Task.TEXT else (picture, mask) if task is Task.INPAINT else (picture,)
            strength = 0.6 if task in (Task.IMAGE, Task.INPAINT) else None
            wanted = {"task": task, "inputs": inputs, "strength": strength, "num_images": 2}
            yield a_job(entry=entry, num_inference_steps=2, **wanted)


def test_what_a_kill_leaves_of_each_task_of_each_family_is_made_as_it_would_have_been(engine: LocalEngine) -> None:
    names = [name for name in (*FAMILIES, *EDITORS, *UPSCALERS) if name not in OTHER_WEIGHTS]
    jobs = [job for name in names for job in of_each_task(engine, name)]
    assert {job.request.task for job in jobs} == {Task.TEXT, Task.IMAGE, Task.INPAINT, Task.EDIT, Task.UPSCALE}
    whole = [made_by(engine, [job], inputs=PICTURES)[0] for job in jobs]
    said = [(job.request.model, job.request.task) for job in jobs]
    assert [(one, result.error, len(result.pictures)) for one, result in zip(said, whole, strict=True)] == [
        (one, None, len(job.images)) for one, job in zip(said, jobs, strict=True)
    ]
    noting = Noting(on_picture=lambda _picture: os.kill(engine.status().pid or 0, signal.SIGKILL))
    with pytest.raises(EngineCrashed):
        engine.run(jobs[:1], PICTURES, noting)
    for job, result in zip(jobs, whole, strict=True):
        [rest] = made_by(engine, [job.model_copy(update={"attempt": 2, "images": job.images[-1:]})], inputs=PICTURES)
        assert [picture.rgb for picture in rest.pictures] == [result.pictures[-1].rgb], job.request
        assert len({picture.rgb for picture in result.pictures}) == len(job.images)


def test_every_kind_of_model_draws_in_the_confined_process(engine: LocalEngine) -> None:
    jobs = [a_job(entry=engine._catalog.get(name), num_inference_steps=2) for name in (*FAMILIES, "one", "gguf", "hub")]
    jobs.append(a_job("a red apple <lora:ink:0.8>", model="tiny"))
    outcomes = [made_by(engine, [job], ignore, nobody)[0] for job in jobs]
    assert [(job.request.model, outcome.error) for job, outcome in zip(jobs, outcomes, strict=True)] == [
        (job.request.model, None) for job in jobs
    ]
    assert all(len(outcome.pictures) == 1 for outcome in outcomes)
    assert engine.status().restarts <= 1  # that of the kill, where it came before
