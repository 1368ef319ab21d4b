"""One run as the parent sees it: what is still open, who is overdue, and when silence means hung."""

import statistics
from collections.abc import Sequence

from app.core.errors import EngineCrashed, EngineHung, GenerationCancelled
from app.core.picture import Picture
from app.core.schema import MAX_PROMPT_CHARS, JobError
from app.core.settings import Settings
from app.core.task import Task
from app.engine import messages
from app.engine.base import EngineEvent, Outcome, Watch, Work
from app.engine.frames import FrameError
from app.engine.process import ChildProcess
from app.engine.watched_clock import WatchedClock

FROZEN_TIMES, FROZEN_LEAST_S = 4, 60.0  # of `denoise_timeout_s` without even a status
MAX_TEXT_CHARS = MAX_PROMPT_CHARS  # it may become a prompt
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

    def heard(self, kind: type[messages.Message]) -> None:
        """A message came. `Status` is of a thread of its own: it says that the child is not frozen, and no more."""
        now = self._alive_at = self.clock.now()
        if kind is messages.Status:
            return
        if kind is messages.StepDone:
            if self._step_at is not None:
                self._steps_s.append(now - self._step_at)
            self._step_at = now
            self._computing = True
        elif kind is messages.Alive:
            self._computing = True
        elif kind is messages.Loading:
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
    """Tells the watch what the child says. Raises FrameError for a message that does not belong to this run, and
    EngineCrashed if the child says that another process did under it."""

    def __init__(self, work: Sequence[Work], watch: Watch, settings: Settings) -> None:
        self._open = {item.job_id: item for item in work}
        self._watch = watch
        self._cancel_timeout_s = settings.cancel_timeout_s
        self._cancel_by: dict[str, float] = {}
        self.silence = Silence(settings)
        self.done = False

    @property
    def open(self) -> list[Work]:
        """The work that has not ended, with the images that it still needs."""
        return list(self._open.values())

    def take(self, message: messages.Message) -> messages.PictureKept | None:
        """Use one message of the child; the answer that it waits for, if it does."""
        self.silence.heard(type(message))
        match message:
            case messages.StepDone():
                job_id, preview = self._item(message.job).job_id, message.preview or None
                self._watch.step(EngineEvent(job_id, "step", message.step, message.of, preview=preview))
            case messages.Loading():
                for job_id in list(self._open):
                    self._watch.step(EngineEvent(job_id, "loading", message.done, message.of, message.phase))
            case messages.Taken() | messages.Alive() | messages.Status():
                pass
            case messages.PictureMade():
                self._take_picture(self._item(message.job), message)
                return messages.PictureKept()
            case messages.JobEnded():
                self._take_end(self._item(message.job), message)
            case messages.Done():
                self._finish(message.error)
            case messages.Crashed():
                raise EngineCrashed(message.message)
            case _:
                raise FrameError(f"a frame of kind {message.KIND!r}, which is not for the service")
        return None

    def newly_cancelled(self) -> list[str]:
        """The open jobs that were cancelled since the last call."""
        fresh = [job_id for job_id in self._open if job_id not in self._cancel_by and self._watch.cancelled(job_id)]
        for job_id in fresh:
            self._cancel_by[job_id] = self.silence.clock.now() + self._cancel_timeout_s
        return fresh

    @property
    def cancel_overdue(self) -> bool:
        """True if a cancelled job did not end in time."""
        now = self.silence.clock.now()
        return any(self._cancel_by[job_id] < now for job_id in self._open if job_id in self._cancel_by)

    def give_up_cancelled(self) -> None:
        """Their child was ended for them: the open cancelled jobs are cancelled now."""
        for job_id in list(self._open):
            if job_id in self._cancel_by:
                self._end(job_id, Outcome(cancelled=True))

    def _item(self, job_id: str) -> Work:
        item = self._open.get(job_id)
        if item is None:
            raise FrameError("a frame for a job that is not running")
        return item

    def _take_picture(self, item: Work, made: messages.PictureMade) -> None:
        if made.index not in item.images[:1]:
            raise FrameError("pictures of a job that did not come each once and in order")
        if len(made.rgb) != made.width * made.height * 3 or made.seed != item.request.seed_of(made.index):
            size = f"{len(made.rgb)} bytes, {made.width}x{made.height}"
            raise FrameError(f"a picture of {size}, seed {made.seed} that was not asked for")
        picture = Picture(made.index, made.seed, made.width, made.height, made.rgb, made.how)
        self._watch.picture(item.job_id, picture)
        self._open[item.job_id] = item.model_copy(update={"images": item.images[1:]})

    def _take_end(self, item: Work, ended: messages.JobEnded) -> None:
        if item.images and not ended.error and not ended.cancelled:
            raise FrameError("an outcome before all pictures of its job came")
        describes = item.request.task is Task.DESCRIBE and not ended.error and not ended.cancelled
        if describes != (ended.text is not None) or len(ended.text or "") > MAX_TEXT_CHARS:
            raise FrameError("a text that was not asked for, or none, or a long one")
        self._end(item.job_id, Outcome(ended.error, ended.cancelled, ended.seconds, ended.text))

    def _finish(self, error: JobError | None) -> None:
        """The call is over; work that has not ended by itself shares the error of the call."""
        for job_id in list(self._open):
            if error is None:
                raise FrameError("no outcome for a job")
            cancelled = error.code == GenerationCancelled.code
            self._end(job_id, Outcome(cancelled=True) if cancelled else Outcome(error))
        self.done = True

    def _end(self, job_id: str, outcome: Outcome) -> None:
        del self._open[job_id]
        self._watch.ended(job_id, outcome)
