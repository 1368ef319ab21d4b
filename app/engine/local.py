"""The engine of this machine: one child process per device, watched, and replaced when it dies or hangs."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from app.catalog import Catalog, ModelEntry
from app.core.errors import (
    AtelierError,
    EngineCrashed,
    EngineUnavailable,
    GenerationFailed,
    ModelNotInstalled,
    ModelRefused,
    OutOfMemory,
    UnknownModel,
)
from app.core.picture import Picture
from app.core.schema import Job, JobError
from app.core.settings import Settings
from app.engine.base import EngineEvent, EngineStatus, ModelEvent, Outcome
from app.engine.children import CLOSED, Children
from app.engine.frames import Frame, FrameError
from app.engine.launch import POLL_S, Launcher
from app.engine.process import ChildProcess
from app.engine.run import Run, Silence, end_if_hung

CHILD_ERRORS = {error.code: error for error in (ModelNotInstalled, ModelRefused, OutOfMemory, GenerationFailed)}

logger = logging.getLogger(__name__)


class LocalEngine:
    """Makes pictures in a child process of this one. See `Engine` for what each call promises.

    `device` is the name shown to people, `torch_device` what it is called inside the child, `environment` what
    the child's environment gets on top (CUDA_VISIBLE_DEVICES). `settings.engine == "test"` takes the fast maker
    of `app.engine.testing`; `module` and `command` another one (for tests). Nothing is started before `start` or the
    first call; the thread that makes that call must live as long as the engine is used, for the child dies with it.
    """

    def __init__(
        self,
        device: str,
        *,
        settings: Settings,
        catalog: Catalog,
        torch_device: str | None = None,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        module: str | None = None,
    ) -> None:
        self._device = device
        self._settings = settings
        self._catalog = catalog
        launcher = Launcher(
            f"engine {device}",
            settings,
            torch_device=torch_device or device,
            environment=environment or {},
            command=command,
            module=module,
        )
        self._children = Children(launcher, device)
        self._busy = False

    def start(self) -> None:
        """Start the child now, so that the first job need not wait for it. Raises EngineUnavailable."""
        self._children.living()

    def run(
        self,
        jobs: Sequence[Job],
        emit: Callable[[EngineEvent], None],
        cancelled: Callable[[str], bool],
        keep: Callable[[str, Picture], None] | None = None,
    ) -> list[Outcome]:
        """See `Engine.run`; without `keep` the outcomes hold the pictures. Also raises EngineUnavailable if no
        child can be started, or if `close` was called.

        A cancelled job that does not end within `settings.cancel_timeout_s` costs the child its life; the other
        jobs of the run are then made again on a new one.
        """
        try:
            entry = self._catalog.get(jobs[0].request.model or self._catalog.default_key)
        except UnknownModel as error:  # it was there when the job was accepted
            gone = JobError(code=error.code, message=error.message, hint=error.hint)
            return [Outcome(job.id, error=gone) for job in jobs]
        outcomes: dict[str, Outcome] = {}
        while waiting := [job for job in jobs if job.id not in outcomes]:
            run = Run(waiting, emit, self._settings, keep)
            with self._call(entry) as child:
                sent = [_sent(job) for job in waiting]
                child.send("run", jobs=sent, entry=entry.model_dump(mode="json"), folder=self._folder)
                self._follow(child, run, cancelled)
            outcomes |= run.outcomes
        return [outcomes[job.id] for job in jobs]

    def load(self, model: str, emit: Callable[[ModelEvent], None]) -> None:
        """See `Engine.load`."""
        entry = self._catalog.get(model)
        event = ModelEvent(model, "loading")
        with self._call(entry) as child:
            child.send("load", entry=entry.model_dump(mode="json"), folder=self._folder)
            for frame in self._frames(child):
                if frame.kind == "loading":
                    event = ModelEvent(model, frame.text("phase"), frame.integer("done"), frame.integer("of"))
                    emit(event)
            if event.phase != "loaded":  # it was loaded before
                emit(ModelEvent(model, "loaded"))

    def unload(self, model: str) -> bool:
        """See `Engine.unload`."""
        if self._children.current is None:
            return False
        with self._call() as child:
            child.send("unload", model=model)
            *_, done = self._frames(child)
            return done.fields.get("value") is True

    def status(self) -> EngineStatus:
        """See `Engine.status`."""
        child, reported = self._children.current, self._children.reported
        return EngineStatus(
            device=self._device,
            name=self._children.name,
            pid=child.pid if child else None,
            alive=child is not None,
            busy=self._busy,
            loaded_models=tuple(reported.get("loaded", ())) if child else (),
            memory_used_bytes=reported.get("used") if child else None,
            memory_total_bytes=reported.get("total"),
            restarts=self._children.restarts,
            last_end=self._children.last_end,
        )

    def rest(self) -> None:
        """See `Engine.rest`."""
        self._children.rest()

    def close(self) -> None:
        """See `Engine.close`. A call that runs in another thread ends with EngineUnavailable."""
        self._children.close(busy=self._busy)

    @property
    def _folder(self) -> str:
        return str(self._catalog.folder.resolve())

    def _follow(self, child: ChildProcess, run: Run, cancelled: Callable[[str], bool]) -> None:
        """Hear the child until the run is done, or until it has to be ended for a cancelled job."""
        ask_at = 0.0
        while not run.done:
            frame = child.next_frame(POLL_S)
            if frame is not None:
                run.take(frame)
            end_if_hung(child, run.silence)
            if time.monotonic() < ask_at:
                continue
            ask_at = time.monotonic() + POLL_S
            for job_id in run.newly_cancelled(cancelled):
                child.send("cancel", job=job_id)
            if run.cancel_overdue:
                logger.warning("engine %s: a cancelled job did not end in time; its process is ended", self._device)
                child.kill()
                run.give_up_cancelled()
                return

    def _frames(self, child: ChildProcess) -> Iterator[Frame]:
        """The frames of a call, `done` the last. Raises what the child answers instead of a result."""
        silence = Silence(self._settings)
        while True:
            frame = child.next_frame(POLL_S)
            if frame is not None:
                silence.heard(frame.kind)
                _raise_answered(frame)
                yield frame
                if frame.kind == "done":
                    return
            end_if_hung(child, silence)

    @contextmanager
    def _call(self, entry: ModelEntry | None = None) -> Iterator[ChildProcess]:
        """One call. Whatever goes wrong, but an answered error, ends the child: no stale frame meets the next."""
        self._busy = True
        try:
            child = self._children.living(entry)
            try:
                yield child
            except _AnsweredError:
                raise
            except BaseException:
                child.kill()
                raise
        except _AnsweredError as answer:
            raise answer.error from None
        except FrameError as error:
            crash = EngineCrashed(f"The process that makes the pictures sent {error}.")
            self._children.note_end(crash.message)
            raise crash from error
        except EngineCrashed as error:
            if self._children.closed:
                raise EngineUnavailable(CLOSED) from error
            self._children.note_end(error.message)
            raise
        finally:
            self._busy = False


class _AnsweredError(Exception):
    """The child said why it could not do a call: it is well, and stays."""

    def __init__(self, error: AtelierError) -> None:
        super().__init__(error.message)
        self.error = error


def _sent(job: Job) -> dict[str, object]:
    # `extra` belongs to the doors: it has no effect on a picture, and may be large.
    return {"id": job.id, "request": job.request.model_dump(mode="json", exclude={"extra"})}


def _raise_answered(frame: Frame) -> None:
    if error := frame.error:
        kind = CHILD_ERRORS.get(error.code, GenerationFailed)
        raise _AnsweredError(kind(error.message, hint=error.hint))
