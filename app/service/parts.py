"""What the service is built from. The composition root makes the parts; the doors only use them."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from flask import current_app

from app.catalog import Catalog
from app.core.schema import JobError
from app.core.settings import Settings
from app.hub.downloads import Downloads
from app.inputs import InputStore
from app.jobs.grids import GridTable
from app.jobs.live import LiveEvents
from app.jobs.looks import LookDesk
from app.jobs.models import ModelState
from app.jobs.sketches import SketchDesk
from app.jobs.table import JobTable
from app.jobs.tally import Tally
from app.library import Library
from app.service.http.seats import Seats
from app.service.verdicts import Verdicts

EXTENSION = "atelier"


class Dispatcher(Protocol):
    """What the doors ask of the thread that feeds the engines. Every call returns at once."""

    tally: Tally

    @property
    def paused(self) -> bool:
        """True if nothing new is started."""
        ...

    def wake(self) -> None:
        """Look at the queue now."""
        ...

    def pause(self) -> None:
        """Start nothing new; what runs goes on."""
        ...

    def resume(self) -> None:
        """Start queued jobs again."""
        ...

    def load_model(self, key: str) -> ModelState:
        """Ask for a model to be loaded; `model_states` says at once that it is asked for."""
        ...

    def unload_model(self, key: str) -> ModelState:
        """Ask for a model's memory to be freed. Raises ModelBusy while a job uses it."""
        ...

    def model_states(self) -> Mapping[str, ModelState]:
        """Catalog key → how that model is; absent = not loaded."""
        ...

    def status(self) -> Sequence[Any]:
        """One `EngineStatus` for each device."""
        ...

    def obstacle(self) -> JobError | None:
        """Why no device at all takes jobs right now; None if one does."""
        ...

    def check_storage(self) -> None:
        """Raise StorageUnavailable, such as DiskFull, while pictures cannot be saved."""
        ...

    def problems(self) -> Sequence[JobError]:
        """Why engines take no jobs right now; empty if all is well."""
        ...


@dataclass(frozen=True)
class Lifecycle:
    """How far the service is on its way out.

    `draining`: no new work is taken. `stopped`: running jobs are finished or handed back; whoever waits is sent home.
    """

    draining: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Parts:
    """Everything a door may use. All of them may be called by any thread."""

    settings: Settings
    catalog: Catalog
    jobs: JobTable
    grids: GridTable
    live: LiveEvents
    library: Library
    dispatcher: Dispatcher
    downloads: Downloads
    inputs: InputStore
    sketches: SketchDesk
    looks: LookDesk
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    started: float = field(default_factory=time.time)

    @cached_property
    def verdicts(self) -> Verdicts:
        """How each model would run here."""
        return Verdicts(self.settings)

    @cached_property
    def seats(self) -> Seats:
        """Who may wait: a quarter of the threads always stays free for calls that are answered at once."""
        return Seats(min(self.settings.max_event_streams, max(1, self.settings.threads * 3 // 4)))


def current_parts() -> Parts:
    """The parts of the app that serves this request."""
    parts: Parts = current_app.extensions[EXTENSION]
    return parts
