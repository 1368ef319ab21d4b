"""How long a running job still needs, from the pace of its own steps. In memory only, safe from any thread."""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean, median

from app.core.schema import Job

INTERVALS = 64  # the latest steps' times count
ODD = 2.0  # a pause of more than twice the usual step is no step: something was decoded or loaded in it
REMEMBERED = 9  # jobs of a model whose time beside the steps is remembered
RUNNING = 2_000


@dataclass
class _Run:
    step: int
    of: int
    began: float
    at: float
    skipped: int  # the steps before the first that was seen
    intervals: deque[float] = field(default_factory=lambda: deque(maxlen=INTERVALS))

    def pace(self) -> float | None:
        """Seconds of one step; None before two were seen."""
        if not self.intervals:
            return None
        usual = median(self.intervals)
        return fmean(each for each in self.intervals if each <= ODD * usual)


class Forecast:
    """Watches the steps of running jobs. What a picture costs beside its steps is learned from the jobs that end."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        self._beside: dict[str, deque[tuple[float, float]]] = {}  # model → (megapixels, seconds) of one picture

    def step(self, job_id: str, step: int, of: int) -> None:
        """`step` of `of` was just done. A number that falls is another try of the job."""
        now = self._now()
        with self._lock:
            run = self._runs.get(job_id)
            if run is None or step < run.step or of != run.of:
                self._runs[job_id] = _Run(step, of, now, now, step)
                while len(self._runs) > RUNNING:
                    self._runs.popitem(last=False)
            elif step > run.step:
                run.intervals.append((now - run.at) / (step - run.step))
                run.step, run.at = step, now

    def finished(self, job: Job, *, megapixel_steps: float) -> None:
        """The job's pictures are saved: what they took beside their steps is known now. `megapixel_steps` as for
        `left`: of the size that the model draws, whatever was asked for."""
        now, request = self._now(), job.request
        with self._lock:
            run = self._runs.pop(job.id, None)
            pace = run.pace() if run is not None else None
            if run is None or pace is None or run.step < run.of:
                return
            beside = (now - run.began - pace * (run.step - run.skipped)) / request.num_images
            learned = self._beside.setdefault(request.model or "", deque(maxlen=REMEMBERED))
            learned.append((megapixel_steps / run.of, max(0.0, beside)))

    def left(self, job_id: str, model: str, *, megapixel_steps: float, images: int) -> float | None:
        """Seconds until the job is done; None before its pace is known."""
        now = self._now()
        with self._lock:
            run = self._runs.get(job_id)
            pace = run.pace() if run is not None else None
            if run is None or pace is None or not run.of:
                return None
            beside = self._beside_of(model, megapixel_steps / run.of, otherwise=pace)
            steps = run.of - run.step
            pictures = math.ceil(steps * images / run.of)
            since = now - run.at
            if steps:  # the step that is being made is not over before it is, however long it takes
                return steps * pace + pictures * beside - min(since, pace)
            return max(0.0, beside - since)

    def _beside_of(self, model: str, megapixels: float, otherwise: float) -> float:
        """Of a model that has drawn nothing yet `otherwise`: decoding takes about as long as a step or two."""
        learned = self._beside.get(model, ())
        alike = [seconds for size, seconds in learned if math.isclose(size, megapixels)]
        if alike:
            return median(alike)
        scaled = [seconds * megapixels / size for size, seconds in learned if size > 0]
        return median(scaled) if scaled else otherwise
