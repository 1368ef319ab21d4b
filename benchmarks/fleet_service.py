"""One service of a simulated fleet, in a process of its own: the real dispatcher, table and relay; engines that wait.

Started by `benchmarks.fleet`, with what it shall be as JSON. Ends when its standard input does.
"""

import json
import math
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.catalog import Catalog, ModelEntry
from app.core.errors import EngineCrashed
from app.core.schema import GenerationRequest, Job, SavedImage
from app.core.settings import Settings
from app.core.task import Task
from app.database import Notices, open_database
from app.engine.base import EngineEvent, EngineStatus, Inputs, ModelEvent, Outcome, Picture, Watch, Work
from app.jobs.dispatcher import Dispatcher
from app.jobs.live import LiveEvents
from app.jobs.relay import Relay
from app.jobs.table import JobTable

STEPS = 4
LEASE_S = 10.0


@dataclass(frozen=True)
class ServiceShape:
    """How many engines, how long a picture and a change of the model take, and how many jobs of 1000 kill an engine."""

    url: str
    folder: str
    engines: int
    picture_s: float  # a fifth more or less
    load_s: float
    deaths_per_1000: int = 0


class WaitingEngine:
    """A device with one model at a time that takes as long as it is told, and no processor."""

    def __init__(self, number: int, shape: ServiceShape) -> None:
        self.swaps = self.deaths = 0
        self.busy_s = 0.0  # that went into pictures, inside the window
        self.window = (0.0, math.inf)
        self._number = number
        self._shape = shape
        self._dice = random.Random(number)
        self._loaded: tuple[str, ...] = ()
        self._closed = threading.Event()

    def ready(self, wanted: Callable[[], bool]) -> bool:
        """Always."""
        return True

    def can_run(self, entry: ModelEntry, task: Task) -> bool:
        """All of them can do all."""
        return True

    def capacity(self, entry: ModelEntry, request: GenerationRequest) -> int:
        """One picture in a pass."""
        return 1

    def run(self, work: Sequence[Work], inputs: Inputs, watch: Watch) -> None:
        """Load if need be, then each job step by step."""
        self._need(work[0].entry.key)
        for item in work:
            if self._dice.randrange(1000) < self._shape.deaths_per_1000:
                self._loaded, self.deaths = (), self.deaths + 1
                self._wait(self._shape.picture_s * self._dice.random())
                raise EngineCrashed
            step_s = self._shape.picture_s / STEPS * self._dice.uniform(0.8, 1.2)
            for step in range(1, STEPS + 1):
                self._work(step_s)
                watch.step(EngineEvent(item.job_id, "step", step, STEPS))
                if watch.cancelled(item.job_id):
                    watch.ended(item.job_id, Outcome(cancelled=True))
                    break
            else:
                watch.picture(item.job_id, Picture(0, item.request.seed, 8, 8, bytes(8 * 8 * 3)))
                watch.ended(item.job_id, Outcome(seconds=self._shape.picture_s))

    def load(self, model: str, emit: Callable[[ModelEvent], None]) -> None:
        """As for a job."""
        self._need(model)

    def unload(self, model: str) -> bool:
        """At once."""
        was = model in self._loaded
        self._loaded = tuple(key for key in self._loaded if key != model)
        return was

    def look(self, entry: ModelEntry, pictures: Sequence[bytes], words: str = "") -> list[bytes]:
        """See `Engine`: it knows no picture."""
        return [b""] * (len(pictures) + bool(words))

    def status(self) -> EngineStatus:
        """Alive."""
        return EngineStatus(f"waiting:{self._number}", "simulated", None, True, False, self._loaded)

    def rest(self) -> None:
        """Forget the model."""
        self._loaded = ()

    def close(self) -> None:
        """Let go of everything."""
        self._closed.set()

    def _need(self, key: str) -> None:
        if key not in self._loaded:
            self.swaps += 1
            self._wait(self._shape.load_s)
            self._loaded = (key,)

    def _work(self, seconds: float) -> None:
        now, (begin, end) = time.monotonic(), self.window
        self.busy_s += max(0.0, min(now + seconds, end) - max(now, begin))
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise EngineCrashed


class NoPictures:
    """Saves nothing and is never full."""

    def write(self, job: Job, picture: Picture) -> SavedImage:
        """A row's worth of it."""
        image_id = str(uuid.uuid4())
        return SavedImage(
            id=image_id, job_id=job.id, index=picture.index, seed=picture.seed, width=8, height=8,
            path=f"2026-01-01/{job.id}-{job.attempt}.png", sha256="0" * 64, bytes=100, prompt=job.request.prompt,
            model=job.request.model or "", origin=job.origin, created_at=datetime.now(UTC), recipe={},
        )  # fmt: skip

    def check_storage(self, needed_bytes: int = 0) -> None:
        """There is room."""

    def discard(self, image: SavedImage) -> None:
        """There is nothing."""


class NoInputs:
    """No job starts from a picture."""

    def open(self, sha256: str) -> bytes:
        """Never called."""
        raise AssertionError(sha256)


class SimulatedService:
    """One service of the fleet: start it, stop it; `swaps` and `deaths` of all its engines."""

    def __init__(self, shape: ServiceShape, number: int) -> None:
        folder = Path(shape.folder)
        settings = Settings(
            models_folder=folder, output_folder=folder, data_folder=folder, preload=False, engine="test",
            lease_s=LEASE_S, cancel_timeout_s=1.0,
        )  # fmt: skip
        self._database = open_database(shape.url)
        boot_id = str(uuid.uuid4())
        shared = self._database.dialect.name != "sqlite"
        self._relay = Relay(Notices(self._database), boot_id) if shared else None
        self._live = LiveEvents(others=self._relay)
        self._engines = [WaitingEngine(1000 * number + each, shape) for each in range(shape.engines)]
        self.table = JobTable(
            self._database, boot_id=boot_id, devices=shape.engines, max_crashes=100, on_event=self._live.publish
        )
        catalog = Catalog(settings)
        self.dispatcher = Dispatcher(self.table, NoPictures(), self._engines, self._live, catalog, settings, NoInputs())

    def start(self, begin: float, end: float) -> None:
        """Begin to claim. What is done from `begin` to `end` (`time.monotonic`) counts."""
        for engine in self._engines:
            engine.window = (begin, end)
        self.dispatcher.start()
        if self._relay is not None:
            self._relay.start(self._live, self.dispatcher.told)

    def stop(self) -> dict[str, float]:
        """End; what was counted."""
        self.dispatcher.stop(0)
        if self._relay is not None:
            self._relay.stop()
        self._database.dispose()
        engines = self._engines
        return {
            "busy_s": sum(engine.busy_s for engine in engines),
            "swaps": sum(engine.swaps for engine in engines),
            "deaths": sum(engine.deaths for engine in engines),
        }


def as_text(shape: ServiceShape, number: int) -> str:
    """The argument of a service's process."""
    return json.dumps({"shape": asdict(shape), "number": number})


def main() -> int:
    """Run one service until the standard input ends; then print what was counted."""
    told = json.loads(sys.argv[1])
    service = SimulatedService(ServiceShape(**told["shape"]), told["number"])
    sys.stdout.write("built\n")
    sys.stdout.flush()
    begin, end = (float(word) for word in sys.stdin.readline().split())  # all begin together
    service.start(begin, end)
    sys.stdin.read()
    sys.stdout.write(json.dumps(service.stop()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
