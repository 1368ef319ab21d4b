"""The contract of an engine: it takes jobs that share a batch key and gives pixels. It knows no queue and no files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.core.picture import Picture
from app.core.schema import Job, JobError

__all__ = ["Engine", "EngineEvent", "EngineStatus", "ModelEvent", "Outcome", "Picture"]


@dataclass(frozen=True)
class Outcome:
    """What became of one job of a run: all its pictures, or an error, or cancelled. `seconds` is working time.

    `count` says how many pictures were made; `pictures` holds them unless they were handed over one by one.
    """

    job_id: str
    pictures: tuple[Picture, ...] = ()
    error: JobError | None = None
    cancelled: bool = False
    seconds: float = 0.0
    count: int = 0


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


class Engine(Protocol):
    """Runs jobs on one device. `run`, `load` and `unload` are called by one thread; `status` by any."""

    def run(
        self,
        jobs: Sequence[Job],
        emit: Callable[[EngineEvent], None],
        cancelled: Callable[[str], bool],
        keep: Callable[[str, Picture], None],
    ) -> list[Outcome]:
        """One outcome for each job, in order. The jobs share a batch key.

        `keep(job_id, picture)` gets each picture as it comes, so that never all of them are in memory; while it works
        the next one waits. Only an outcome says that they count: after any other end they are made again.
        `cancelled(job_id)` is asked at least every 100 ms; a cancelled job ends within one step and does not
        disturb its neighbours. Raises EngineCrashed (or EngineHung) if the process behind it died: the jobs
        made nothing then (what was kept does not count), and the next call works on a new process.
        """
        ...

    def load(self, model: str, emit: Callable[[ModelEvent], None]) -> None:
        """Load a catalog model; free if it is loaded. Raises ModelNotInstalled, ModelRefused, OutOfMemory, …"""
        ...

    def unload(self, model: str) -> bool:
        """Free a model's memory. False if it was not loaded."""
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
