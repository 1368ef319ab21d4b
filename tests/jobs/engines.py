"""An engine inside this process, whose faults the prompt chooses, and a library on a folder that can be full."""

import hashlib
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from app.core.errors import DiskFull, EngineCrashed, EngineUnavailable, ModelNotInstalled, StorageUnavailable
from app.core.schema import Job, JobError, SavedImage
from app.engine.base import EngineEvent, EngineStatus, ModelEvent, Outcome, Picture

from .things import saved_images

STEP_S = 0.002


class SmallEngine:
    """Draws noise from the seed; some prompts are faults: `crash`, `error`, `bug`, `short`, `silent`, `slow` …"""

    def __init__(self, models: Sequence[str] = ("pocket",)) -> None:
        self.models = set(models)
        self.loaded: list[str] = []
        self.runs: list[list[str]] = []
        self.threads: set[int] = set()
        self.closed = threading.Event()
        self.available = True
        self._crashed: set[str] = set()

    def run(
        self,
        jobs: Sequence[Job],
        emit: Callable[[EngineEvent], None],
        cancelled: Callable[[str], bool],
        keep: Callable[[str, Picture], None],
    ) -> list[Outcome]:
        self.threads.add(threading.get_ident())
        if not self.available:
            raise EngineUnavailable
        self.runs.append([job.id for job in jobs])
        self._remember(jobs[0].request.model or "")
        outcomes = [self._run_one(job, emit, cancelled, keep) for job in jobs]
        return [outcome for outcome in outcomes if outcome is not None]

    def _run_one(
        self,
        job: Job,
        emit: Callable[[EngineEvent], None],
        cancelled: Callable[[str], bool],
        keep: Callable[[str, Picture], None],
    ) -> Outcome | None:
        prompt = job.request.prompt
        if prompt == "crash" or (prompt == "crash once" and job.id not in self._crashed):
            self._crashed.add(job.id)
            raise EngineCrashed
        if prompt == "bug":
            raise RuntimeError("a bug in the engine")
        if prompt == "silent":
            return None
        if prompt == "error":
            return Outcome(job.id, error=JobError(code="out_of_memory", message="No memory."))
        steps = 10_000 if prompt in ("slow", "stubborn") else 4
        for step in range(1, steps + 1):
            if self.closed.wait(STEP_S):
                raise EngineCrashed
            emit(EngineEvent(job.id, "step", step, steps, preview=b"jpeg"))
            if prompt != "stubborn" and cancelled(job.id):
                return Outcome(job.id, cancelled=True)
        count = job.request.num_images - (1 if prompt == "short" else 0)
        for index in range(count):
            keep(job.id, _picture(job, index))
        return Outcome(job.id, seconds=steps * STEP_S, count=count)

    def load(self, model: str, emit: Callable[[ModelEvent], None]) -> None:
        self.threads.add(threading.get_ident())
        if model not in self.models:
            raise ModelNotInstalled
        emit(ModelEvent(model, "loading", 5, 10))
        self._remember(model)

    def unload(self, model: str) -> bool:
        if model not in self.loaded:
            return False
        self.loaded.remove(model)
        return True

    def status(self) -> EngineStatus:
        return EngineStatus("test", "small engine", None, True, False, tuple(self.loaded))

    def rest(self) -> None:
        self.loaded.clear()

    def close(self) -> None:
        self.closed.set()

    def _remember(self, model: str) -> None:
        if model not in self.loaded:
            self.loaded.append(model)


def _picture(job: Job, index: int) -> Picture:
    seed, size = job.request.seed + index, (job.request.width or 0) * (job.request.height or 0) * 3
    return Picture(index, seed, 64, 64, hashlib.shake_256(str(seed).encode()).digest(size))


class Shelf:
    """Saves raw pixels as files. `room`: so many more fit on the disk; `checks`: what `check_storage` was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.room = math.inf
        self.fault: Exception | None = None
        self.may_write = threading.Event()  # while it is not set, `write` waits
        self.may_write.set()
        self.asked = threading.Event()  # set by the first `write`
        self.checks: list[int] = []
        self.left: list[str] = []  # the paths that were discarded
        folder.mkdir(exist_ok=True)

    def write(self, job: Job, picture: Picture) -> SavedImage:
        self.asked.set()
        assert self.may_write.wait(120)
        if self.room < 1:
            raise DiskFull
        if self.fault is not None:
            raise self.fault
        self.room -= 1
        image = saved_images(job)[picture.index]
        digest = hashlib.sha256(picture.rgb).hexdigest()
        image = image.model_copy(update={"path": f"{image.id}.rgb", "sha256": digest, "bytes": len(picture.rgb)})
        (self.folder / image.path).write_bytes(picture.rgb)
        return image

    def check_storage(self, needed_bytes: int = 0) -> None:
        self.checks.append(needed_bytes)
        if self.room < 1:
            raise DiskFull
        if isinstance(self.fault, StorageUnavailable):
            raise self.fault

    def discard(self, image: SavedImage) -> None:
        self.left.append(image.path)
        (self.folder / image.path).unlink(missing_ok=True)

    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())
