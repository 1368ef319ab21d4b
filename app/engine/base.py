"""The contract of an engine: it takes work that shares a batch key and gives pixels. It knows no queue and no files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.catalog import ModelEntry
from app.core.picture import Picture
from app.core.schema import GenerationRequest, JobError
from app.core.task import Task
from app.core.values import Value

__all__ = [
    "Engine",
    "EngineEvent",
    "EngineStatus",
    "Inputs",
    "ModelEvent",
    "Outcome",
    "Picture",
    "Watch",
    "Work",
]


class Work(Value):
    """One attempt at a job: its resolved request, and the model entry as it was when the job was accepted.

    `images`: which of the job's images are to be made, in this order; those of an earlier attempt are missing here.
    """

    job_id: str
    attempt: int
    request: GenerationRequest
    entry: ModelEntry
    images: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """How one piece of work ended: all its pictures were handed over, or an error, or it was cancelled.

    `seconds` is working time, `text` what a picture shows, where that was asked.
    """

    error: JobError | None = None
    cancelled: bool = False
    seconds: float = 0.0
    text: str | None = None


@dataclass(frozen=True)
class EngineEvent:
    """A sign of life under a job: `kind` is `loading` or `step`.

    `step` of `of` counts denoising steps (or load phases/bytes); `preview` is a small JPEG or None.
    """

    job_id: str
    kind: str
    step: int = 0
    of: int = 0
    phase: str = "denoising"
    preview: bytes | None = None


@dataclass(frozen=True)
class ModelEvent:
    """A sign of life of a load outside a job: `phase` is `downloading`, `loading` or `loaded`; units are bytes."""

    model: str
    phase: str
    done: int = 0
    of: int = 0


@dataclass(frozen=True)
class EngineStatus:
    """One device: its name, the process behind it, memory in bytes (None = unknown) and the loaded models' keys.

    `restarts` counts processes that took the place of one that ended by itself; `last_end` says when and why the last
    of those ended (None = none did).
    """

    device: str
    name: str
    pid: int | None
    alive: bool
    busy: bool
    loaded_models: tuple[str, ...] = ()
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    restarts: int = 0
    last_end: str | None = None


class Inputs(Protocol):
    """The pictures that jobs start from, by the hash of their bytes."""

    def open(self, sha256: str) -> bytes:
        """The bytes of one picture's file. Raises UnknownInput, StorageUnavailable."""
        ...


class Watch(Protocol):
    """Who hears what becomes of a run. All calls come from the thread that called `Engine.run`."""

    def step(self, event: EngineEvent) -> None:
        """A sign of life under a job."""
        ...

    def picture(self, job_id: str, picture: Picture) -> None:
        """One picture is done. When this returns it counts: this engine need not make it again, whatever happens to it.

        It returns before the picture is on the disk, but waits while too many others are still to be saved.
        """
        ...

    def ended(self, job_id: str, outcome: Outcome) -> None:
        """This piece of work is over; its neighbours may go on. Called once for each, and last."""
        ...

    def cancelled(self, job_id: str) -> bool:
        """True if nobody wants the rest of this job any more."""
        ...


class Engine(Protocol):
    """Runs work on one device. `ready`, `run`, `load` and `unload` are called by one thread, the rest by any."""

    def ready(self, wanted: Callable[[], bool]) -> bool:
        """True if a run can begin; False while there is no device behind it. Never waits for one.

        An engine whose device comes and goes asks for one if `wanted` says that jobs wait for it. Raises
        EngineUnavailable with the reason why none can be had.
        """
        ...

    def can_run(self, entry: ModelEntry, task: Task) -> bool:
        """True if this engine knows how to do such work. Says nothing of memory or of whether the model is there."""
        ...

    def capacity(self, entry: ModelEntry, request: GenerationRequest) -> int:
        """How many images of such requests it makes in one pass; at least 1. More are made one pass after another."""
        ...

    def run(self, work: Sequence[Work], inputs: Inputs, watch: Watch) -> None:
        """Make all images of all the work, which shares a batch key, and tell `watch` of each as soon as it is made.

        The images of one job come in the order of `Work.images`, image i with the seed `request.seed_of(i)` and the
        same pixels whatever else is made with it. While `watch.picture` works no next pass begins, so that never all
        pictures are in memory. `watch.cancelled` is asked at least every 100 ms; a cancelled job ends within one step
        and does not disturb its neighbours. Returns when all work has ended. Raises EngineCrashed (or EngineHung) if
        the process behind it died: work that had not ended lost the picture that was being made and no other, and
        the next call works on a new process. Raises EngineLost if its whole machine is gone, which is no fault of
        the work.
        """
        ...

    def load(self, model: str, emit: Callable[[ModelEvent], None]) -> None:
        """Load a catalog model; free if it is loaded. Raises ModelNotInstalled, ModelRefused, OutOfMemory, …"""
        ...

    def unload(self, model: str) -> bool:
        """Free a model's memory. False if it was not loaded."""
        ...

    def look(self, entry: ModelEntry, pictures: Sequence[bytes], words: str = "") -> list[bytes]:
        """What pictures' files mean, as vectors of signed bytes that can be compared, and last what the words mean.

        Of a model that is a preprocessor what it sees in each, as a PNG of the same size. A vector is empty for a file
        that cannot be read, and for words that the model does not know. Raises ModelRefused, OutOfMemory,
        EngineCrashed, …
        """
        ...

    def rest(self) -> None:
        """Give back all memory, the process behind it included; the next call takes it again. Free if at rest."""
        ...

    def status(self) -> EngineStatus:
        """How the device is. Never blocks on a running job."""
        ...

    def close(self) -> None:
        """End the process behind it. Idempotent."""
        ...
