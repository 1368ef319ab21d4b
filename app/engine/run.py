"""One run as the parent sees it: what came of each job so far, who is overdue, and when silence means hung."""

import statistics
from collections.abc import Callable, Sequence

from app.core.errors import EngineHung, GenerationCancelled
from app.core.picture import Picture
from app.core.schema import Job, JobError
from app.core.settings import Settings
from app.engine.base import EngineEvent, Outcome
from app.engine.frames import Frame, FrameError
from app.engine.process import ChildProcess
from app.engine.watched_clock import WatchedClock

FROZEN_TIMES, FROZEN_LEAST_S = 4, 60.0  # of `denoise_timeout_s` without even a status
SLOW_STEPS = 10  # a step may take this many times the median one before silence means hung


class Silence:
    """How long a child may say nothing: `denoise_timeout_s` until it takes a call, `load_timeout_s` while it loads,
    then `denoise_timeout_s` again, or ten median steps on a machine where a step takes long.

    Counted is the time that this process was awake to listen (see `WatchedClock`).
    """

    def __init__(self, settings: Settings, *, taken: bool = False) -> None:
        self.clock = WatchedClock()
        self._settings = settings
        self._steps_s: list[float] = []
        self._step_at: float | None = None
        self._taken = taken
        self._computing = False
        self._heard_at = self._alive_at = self.clock.now()

    def heard(self, kind: str) -> None:
        """A frame came. `status` comes from a thread of its own: it says that the child is not frozen, and no more."""
        now = self._alive_at = self.clock.now()
        if kind == "status":
            return
        if kind == "step":
            if self._step_at is not None:
                self._steps_s.append(now - self._step_at)
            self._step_at = now
            self._computing = True
        elif kind == "alive":
            self._computing = True
        elif kind == "loading":
            self._step_at, self._computing = None, False
        self._taken = True
        self._heard_at = now

    @property
    def limit_s(self) -> float:
        """Seconds of silence that are allowed now."""
        if not self._taken:
            return self._settings.denoise_timeout_s
        if not self._computing:
            return self._settings.load_timeout_s
        slow = SLOW_STEPS * statistics.median(self._steps_s) if self._steps_s else 0.0
        return max(self._settings.denoise_timeout_s, slow)

    @property
    def too_long_s(self) -> float | None:
        """The limit that is passed if the child must be taken for hung."""
        now = self.clock.now()
        if now - self._heard_at > self.limit_s:
            return self.limit_s
        # Loading may be silent for long, but a process that runs at all tells its status every second.
        frozen_s = max(FROZEN_LEAST_S, FROZEN_TIMES * self._settings.denoise_timeout_s)
        return frozen_s if now - self._alive_at > frozen_s else None


def end_if_hung(child: ChildProcess, silence: Silence) -> None:
    """End the child and raise EngineHung if it has been silent for too long."""
    limit_s = silence.too_long_s
    if limit_s is not None:
        child.kill()
        raise EngineHung(f"{EngineHung.__doc__} It said nothing for {limit_s:g} s.")


class Run:
    """Collects the frames of one run. Raises FrameError for a frame that does not belong to it."""

    def __init__(
        self,
        jobs: Sequence[Job],
        emit: Callable[[EngineEvent], None],
        settings: Settings,
        keep: Callable[[str, Picture], None] | None = None,
    ) -> None:
        self._jobs = {job.id: job for job in jobs}
        self._emit = emit
        self._cancel_timeout_s = settings.cancel_timeout_s
        self._keep = keep
        self._pictures: dict[str, list[Picture]] = {job.id: [] for job in jobs}
        self._counts = dict.fromkeys(self._jobs, 0)
        self._cancel_by: dict[str, float] = {}
        self.silence = Silence(settings)
        self.outcomes: dict[str, Outcome] = {}
        self.done = False

    def take(self, frame: Frame) -> None:
        """Use one frame of the child: emit its event, keep its picture, note its outcome."""
        self.silence.heard(frame.kind)
        if frame.kind == "step":
            job = self._job(frame)
            step, of = frame.integer("step"), frame.integer("of")
            self._emit(EngineEvent(job.id, "step", step, of, preview=frame.raw or None))
        elif frame.kind == "loading":
            done, of, phase = frame.integer("done"), frame.integer("of"), frame.text("phase")
            for job_id in self._open():
                self._emit(EngineEvent(job_id, "loading", done, of, phase))
        elif frame.kind in ("taken", "alive", "status"):
            return
        elif frame.kind == "picture":
            self._take_picture(self._job(frame), frame)
        elif frame.kind == "outcome":
            self._close(self._job(frame), frame)
        elif frame.kind == "done":
            self._finish(frame.error)
        else:
            raise FrameError(f"a frame of unknown kind {frame.kind!r}")

    def newly_cancelled(self, cancelled: Callable[[str], bool]) -> list[str]:
        """The open jobs that were cancelled since the last call."""
        fresh = [job_id for job_id in self._open() if job_id not in self._cancel_by and cancelled(job_id)]
        for job_id in fresh:
            self._cancel_by[job_id] = self.silence.clock.now() + self._cancel_timeout_s
        return fresh

    @property
    def cancel_overdue(self) -> bool:
        """True if a cancelled job did not end in time."""
        now = self.silence.clock.now()
        return any(self._cancel_by[job_id] < now for job_id in self._open() if job_id in self._cancel_by)

    def give_up_cancelled(self) -> None:
        """Their child was ended for them: the open cancelled jobs are cancelled now."""
        for job_id in self._open():
            if job_id in self._cancel_by:
                self.outcomes[job_id] = Outcome(job_id, cancelled=True)

    def _open(self) -> list[str]:
        return [job_id for job_id in self._jobs if job_id not in self.outcomes]

    def _job(self, frame: Frame) -> Job:
        job = self._jobs.get(frame.text("job"))
        if job is None or job.id in self.outcomes:
            raise FrameError("a frame for a job that is not running")
        return job

    def _take_picture(self, job: Job, frame: Frame) -> None:
        picture = _picture(job, frame)
        if picture.index != self._counts[job.id]:
            raise FrameError("pictures of a job that did not come each once and in order")
        self._counts[job.id] += 1
        if self._keep:
            self._keep(job.id, picture)
        else:
            self._pictures[job.id].append(picture)

    def _close(self, job: Job, frame: Frame) -> None:
        error, cancelled = frame.error, frame.fields.get("cancelled") is True
        seconds = frame.fields.get("seconds")
        pictures, count = tuple(self._pictures[job.id]), self._counts[job.id]
        if error or cancelled:
            pictures, count = (), 0
        elif count != job.request.num_images:
            raise FrameError("an outcome before all pictures of its job came")
        if not isinstance(seconds, int | float):
            raise FrameError("an outcome without its seconds")
        self.outcomes[job.id] = Outcome(job.id, pictures, error, cancelled, float(seconds), count)

    def _finish(self, error: JobError | None) -> None:
        """The call is over; a job without an outcome of its own shares the error of the call."""
        for job_id in self._open():
            if error is None:
                raise FrameError("no outcome for a job")
            if error.code == GenerationCancelled.code:
                self.outcomes[job_id] = Outcome(job_id, cancelled=True)
            else:
                self.outcomes[job_id] = Outcome(job_id, error=error)
        self.done = True


def _picture(job: Job, frame: Frame) -> Picture:
    width, height = frame.integer("width"), frame.integer("height")
    index, seed = frame.integer("index"), frame.integer("seed")
    if len(frame.raw) != width * height * 3 or seed != job.request.seed + index:
        raise FrameError(f"a picture of {len(frame.raw)} bytes, {width}x{height}, seed {seed} that was not asked for")
    how = frame.fields.get("how")
    if not isinstance(how, dict):
        raise FrameError("a picture that does not say how it was made")
    return Picture(index, seed, width, height, frame.raw, how)
