"""Sketches: pictures that are drawn while somebody types, between jobs. Nobody's job, and kept nowhere."""

import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from app.catalog import ModelEntry
from app.core.batching import megapixel_steps
from app.core.errors import AtelierError, GenerationFailed, JobsComeFirst, SketchReplaced, TooSlowToSketch
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.core.shapes import as_drawn
from app.engine.base import Engine, EngineEvent, Inputs, Outcome, Work
from app.jobs.eta import Pace
from app.jobs.signals import Bell, Stopping

STILL = 2.0  # times as long as it may take by what jobs took: what is offered is not taken back for a slow moment
REMEMBERED = 9  # sketches of one kind whose time is remembered
KINDS = 100
PATIENCE_S = 10.0  # that a sketch waits for a device


@dataclass
class _Sketch:
    request: GenerationRequest
    entry: ModelEntry
    ended: threading.Event = field(default_factory=threading.Event)
    picture: Picture | None = None
    seconds: float = 0.0
    error: AtelierError | None = None

    def end(self, error: AtelierError | None = None) -> None:
        if not self.ended.is_set():
            self.error = error
            self.ended.set()


@dataclass(frozen=True)
class Drawn:
    """A sketch, the request with the steps that it got, and the seconds that a device needed for it."""

    request: GenerationRequest
    picture: Picture
    seconds: float


class SketchDesk:
    """The latest sketch of each who asks. Anyone asks; the engines' threads draw, when no job waits."""

    def __init__(self, most_s: float) -> None:
        """`most_s`: what one may take by what jobs took, to be drawn at all; 0 = none is."""
        self._most_s = most_s
        self._lock = threading.Lock()
        self._latest: dict[str, _Sketch] = {}
        self._waiting: OrderedDict[str, _Sketch] = OrderedDict()
        self._took: OrderedDict[tuple[str, float], deque[float]] = OrderedDict()

    def steps(self, request: GenerationRequest, entry: ModelEntry, pace: Pace) -> int | None:
        """How many steps a sketch of this resolved request gets: its own, or as many fewer as the model draws well
        with, so that it takes no longer than allowed. None if it is too slow, or nothing is known of its `pace` yet."""
        asked = request.num_inference_steps or 1
        good = entry.good.get("num_inference_steps")
        fewest = min(asked, max(1, int(good.low)) if good else entry.num_inference_steps)
        steps = asked
        while True:
            if self._is_quick(_kind(request.model_copy(update={"num_inference_steps": steps}), entry), pace):
                return steps
            if steps <= fewest:
                return None
            steps = max(fewest, steps // 2)

    def draw(
        self, request: GenerationRequest, entry: ModelEntry, *, who: str, pace: Pace, wake: Callable[[], None]
    ) -> Drawn:
        """The picture, as soon as a device is free. What `who` asked for before ends with SketchReplaced.

        Raises TooSlowToSketch, JobsComeFirst, and what drawing raises.
        """
        steps = self.steps(request, entry, pace)
        if steps is None:
            raise TooSlowToSketch()
        sketch = _Sketch(request.model_copy(update={"num_inference_steps": steps}), entry)
        with self._lock:
            before = self._latest.get(who)
            self._latest[who] = self._waiting[who] = sketch
        if before is not None:
            before.end(SketchReplaced())
        wake()
        if not sketch.ended.wait(PATIENCE_S):
            sketch.end(JobsComeFirst())
        with self._lock:
            for known in (self._latest, self._waiting):
                if known.get(who) is sketch:
                    del known[who]
        if sketch.error is not None or sketch.picture is None:
            raise sketch.error or GenerationFailed()
        return Drawn(sketch.request, sketch.picture, sketch.seconds)

    def draw_one(
        self, engine: Engine, inputs: Inputs, may_take: Callable[[ModelEntry], bool], stop: Callable[[], bool]
    ) -> bool:
        """Draw the oldest sketch that `may_take` allows; False if there is none. Its errors go to who asked.

        It is let go when `stop` says so, which is asked every moment.
        """
        sketch = self._next(may_take)
        if sketch is None:
            return False
        work = Work(job_id=f"sketch-{uuid.uuid4()}", attempt=0, request=sketch.request, entry=sketch.entry, images=(0,))
        watch, began = _Watch(sketch, stop), time.monotonic()
        try:
            engine.run([work], inputs, watch)
        except AtelierError as error:
            sketch.end(error)
        finally:
            sketch.seconds = time.monotonic() - began
            if sketch.picture is not None and not watch.loaded:
                self._note(sketch)
            lost = None if sketch.picture is not None else JobsComeFirst() if stop() else GenerationFailed()
            sketch.end(lost)
        return True

    def _next(self, may_take: Callable[[ModelEntry], bool]) -> _Sketch | None:
        with self._lock:
            who = next((who for who, sketch in self._waiting.items() if may_take(sketch.entry)), None)
            return None if who is None else self._waiting.pop(who)

    def _is_quick(self, kind: tuple[str, float], pace: Pace) -> bool:
        with self._lock:
            took = [*self._took.get(kind, ())]
        if took:
            return bool(median(took) <= STILL * self._most_s)
        expected = pace.drawing(kind[1])
        return expected is not None and expected <= self._most_s

    def _note(self, sketch: _Sketch) -> None:
        with self._lock:
            kind = _kind(sketch.request, sketch.entry)
            self._took.setdefault(kind, deque(maxlen=REMEMBERED)).append(sketch.seconds)
            while len(self._took) > KINDS:
                self._took.popitem(last=False)


def _kind(request: GenerationRequest, entry: ModelEntry) -> tuple[str, float]:
    return entry.key, megapixel_steps(as_drawn(request, entry.shapes))


class WaitingJobs(Protocol):
    """What is needed of the job table."""

    def waiting(self) -> bool:
        """True if a job is queued. Raises DatabaseBusy."""
        ...


class UntilAJob:
    """True from the moment on when a job waits, or the service stops. It looks into the table only after a ring."""

    def __init__(self, bell: Bell, stopping: Stopping, table: WaitingJobs) -> None:
        self._bell = bell
        self._stopping = stopping
        self._table = table
        self._rings = bell.rings()
        self._came = False

    def __call__(self) -> bool:
        """Cheap, and never raises."""
        rings = self._bell.rings()
        if not self._came and rings != self._rings:
            try:
                self._came = self._table.waiting()
                self._rings = rings
            except AtelierError:
                pass  # it is asked again
        return self._came or self._stopping.asked.is_set()


class _Watch:
    """See `app.engine.base.Watch`."""

    def __init__(self, sketch: _Sketch, stop: Callable[[], bool]) -> None:
        self._sketch = sketch
        self._stop = stop
        self.loaded = False

    def step(self, event: EngineEvent) -> None:
        """A model that is loaded first says nothing of how long a sketch takes."""
        self.loaded = self.loaded or event.kind == "loading"

    def picture(self, job_id: str, picture: Picture) -> None:
        """It is there."""
        self._sketch.picture = picture

    def ended(self, job_id: str, outcome: Outcome) -> None:
        """It is there, or why not."""
        if outcome.error is not None:
            error = GenerationFailed(outcome.error.message, hint=outcome.error.hint)
            self._sketch.end(error)

    def cancelled(self, job_id: str) -> bool:
        """True if a later one took its place, nobody waits for it any more, or a job came."""
        return self._sketch.ended.is_set() or self._stop()
