"""An engine inside this process, whose faults the prompt chooses, and a library on a folder that can be full."""

import hashlib
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from app.catalog import ModelEntry
from app.core.errors import DiskFull, EngineCrashed, EngineUnavailable, ModelNotInstalled, StorageUnavailable
from app.core.schema import GenerationRequest, Job, JobError, SavedImage
from app.core.task import Task
from app.engine.base import EngineEvent, EngineStatus, Inputs, ModelEvent, Outcome, Picture, Watch, Work

from .things import saved_images

STEP_S = 0.002


class SmallEngine:
    """Draws noise from the seed; some prompts are faults: `crash`, `error`, `bug`, `short`, `silent`, `slow` …"""

    def __init__(self, models: Sequence[str] = ("pocket",)) -> None:
        self.models = set(models)
        self.loaded: list[str] = []
        self.runs: list[list[str]] = []
        self.work: list[Work] = []
        self.threads: set[int] = set()
        self.closed = threading.Event()
        self.available = True
        self.here = True  # False: it has no device now; `wanted` is whether it was asked to get one
        self.wanted = False
        self.images_in_a_pass = 1
        self.cannot: set[str] = set()  # keys of models that this engine does not know how to run
        self._crashed: set[str] = set()

    def ready(self, wanted: Callable[[], bool]) -> bool:
        self.wanted = self.here or wanted()
        return self.here

    def can_run(self, entry: ModelEntry, task: Task) -> bool:
        return entry.key not in self.cannot

    def capacity(self, entry: ModelEntry, request: GenerationRequest) -> int:
        return self.images_in_a_pass

    def run(self, work: Sequence[Work], inputs: Inputs, watch: Watch) -> None:
        self.threads.add(threading.get_ident())
        if not self.available:
            raise EngineUnavailable
        self.runs.append([item.job_id for item in work])
        self.work += work
        self._remember(work[0].request.model or "")
        for item in work:
            self._run_one(item, watch)

    def _run_one(self, item: Work, watch: Watch) -> None:
        prompt = item.request.prompt
        if prompt == "crash" or (prompt == "crash once" and item.job_id not in self._crashed):
            self._crashed.add(item.job_id)
            raise EngineCrashed
        if prompt == "bug":
            raise RuntimeError("a bug in the engine")
        if prompt == "silent":
            return
        if prompt == "error":
            watch.ended(item.job_id, Outcome(JobError(code="out_of_memory", message="No memory.")))
            return
        steps = 10_000 if prompt in ("slow", "stubborn") else 4
        for index in item.images[: -1 if prompt == "short" else None]:
            for step in range(1, steps + 1):
                if self.closed.wait(STEP_S):
                    raise EngineCrashed
                watch.step(EngineEvent(item.job_id, "step", step, steps, preview=b"jpeg"))
                if prompt != "stubborn" and watch.cancelled(item.job_id):
                    watch.ended(item.job_id, Outcome(cancelled=True))
                    return
            if prompt == f"crash once at {index}" and item.job_id not in self._crashed:
                self._crashed.add(item.job_id)
                raise EngineCrashed
            if prompt == f"error at {index}":
                watch.ended(item.job_id, Outcome(JobError(code="out_of_memory", message="No memory.")))
                return
            watch.picture(item.job_id, _picture(item, index))
        watch.ended(item.job_id, Outcome(seconds=steps * STEP_S))

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

    def look(self, entry: ModelEntry, pictures: Sequence[bytes], words: str = "") -> list[bytes]:
        return [bytes([len(each) % 128]) for each in (*pictures, *([words.encode()] if words else []))]

    def status(self) -> EngineStatus:
        return EngineStatus("test", "small engine", None, True, False, tuple(self.loaded))

    def rest(self) -> None:
        self.loaded.clear()

    def close(self) -> None:
        self.closed.set()

    def _remember(self, model: str) -> None:
        if model not in self.loaded:
            self.loaded.append(model)


def _picture(item: Work, index: int) -> Picture:
    seed, size = item.request.seed + index, (item.request.width or 0) * (item.request.height or 0) * 3
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
