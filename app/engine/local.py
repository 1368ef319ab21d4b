"""The engine of this machine: one child process per device, watched, and replaced when it dies or hangs."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from app.catalog import Catalog, ModelEntry
from app.core.batching import images_in_a_pass
from app.core.control import pictures_of
from app.core.errors import (
    AtelierError,
    EngineCrashed,
    EngineUnavailable,
    GenerationFailed,
    ModelNotInstalled,
    ModelRefused,
    OutOfMemory,
    UnknownInput,
)
from app.core.hires import result_size
from app.core.schema import GenerationRequest, JobError
from app.core.settings import Settings
from app.core.task import Task
from app.engine import messages
from app.engine.base import EngineStatus, Inputs, ModelEvent, Outcome, Watch, Work
from app.engine.children import CLOSED, Children
from app.engine.frames import FrameError
from app.engine.launch import POLL_S, Launcher
from app.engine.process import ChildProcess
from app.engine.run import Run, Silence, end_if_hung
from app.families import family_of

# What `app.diffusion` can do today.
MADE_HERE = frozenset({Task.TEXT, Task.IMAGE, Task.INPAINT, Task.EDIT, Task.UPSCALE, Task.DESCRIBE})
CHILD_ERRORS = {error.code: error for error in (ModelNotInstalled, ModelRefused, OutOfMemory, GenerationFailed)}

logger = logging.getLogger(__name__)


class LocalEngine:
    """Makes pictures in a child process of this one. See `Engine` for what each call promises.

    `device` is the name shown to people, `torch_device` what it is called inside the child, `environment` what
    the child's environment gets on top (CUDA_VISIBLE_DEVICES). `settings.engine` chooses the maker; `module` and
    `command` give another one (for tests), `children` another way to start any. Nothing is started before `start` or
    the first call; the thread that makes that call must live as long as the engine is used, for the child dies with it.
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
        children: Children | None = None,
    ) -> None:
        self._device = device
        self._torch_device = torch_device or device
        self._settings = settings
        self._catalog = catalog
        if children is None:
            launcher = Launcher(
                f"engine {device}",
                settings,
                torch_device=self._torch_device,
                environment=environment or {},
                command=command,
                module=module,
            )
            children = Children(launcher, device)
        self._children = children
        self._busy = False

    def start(self) -> None:
        """Start the child now, so that the first job need not wait for it. Raises EngineUnavailable."""
        self._children.living()

    def ready(self, wanted: Callable[[], bool]) -> bool:
        """See `Engine.ready`."""
        return True

    def can_run(self, entry: ModelEntry, task: Task) -> bool:
        """See `Engine.can_run`."""
        return task in MADE_HERE and family_of(entry.pipeline).can(task)

    def capacity(self, entry: ModelEntry, request: GenerationRequest) -> int:
        """See `Engine.capacity`."""
        if family_of(entry.pipeline).alone:
            return 1
        width, height = result_size(request)
        return images_in_a_pass(self._torch_device, width or entry.width, height or entry.height)

    def run(self, work: Sequence[Work], inputs: Inputs, watch: Watch) -> None:
        """See `Engine.run`. Also raises EngineUnavailable if no child can be started, or if `close` was called.

        A cancelled job that does not end within `settings.cancel_timeout_s` costs the child its life; what the other
        jobs of the run still miss is then made on a new one.
        """
        given: dict[str, bytes] = {}
        waiting: Sequence[Work] = [_sent(item) for item in work if _has_inputs(item, inputs, given, watch)]
        while waiting:
            run = Run(waiting, watch, self._settings)
            with self._call(waiting[0].entry) as child:
                for sha256, file in given.items():
                    child.send(messages.InputGiven(sha256=sha256, file=file))
                child.send(messages.RunWork(work=tuple(waiting), folder=self._folder))
                self._follow(child, run)
            waiting = run.open

    def load(self, model: str, emit: Callable[[ModelEvent], None]) -> None:
        """See `Engine.load`."""
        entry = self._catalog.get(model)
        event = ModelEvent(model, "loading")
        with self._call(entry) as child:
            child.send(messages.LoadModel(entry=entry, folder=self._folder))
            for message in self._answers(child):
                if isinstance(message, messages.Loading):
                    event = ModelEvent(model, message.phase, message.done, message.of)
                    emit(event)
            if event.phase != "loaded":  # it was loaded before
                emit(ModelEvent(model, "loaded"))

    def look(self, entry: ModelEntry, pictures: Sequence[bytes], words: str = "") -> list[bytes]:
        """See `Engine.look`."""
        names = tuple(hashlib.sha256(file).hexdigest() for file in pictures)
        with self._call(entry) as child:
            for name, file in dict(zip(names, pictures, strict=True)).items():
                child.send(messages.InputGiven(sha256=name, file=file))
            child.send(messages.LookAt(entry=entry, folder=self._folder, pictures=names, words=words))
            found = [message.vector for message in self._answers(child) if isinstance(message, messages.Looked)]
            if len(found) != len(pictures) + bool(words):
                raise FrameError(f"{len(found)} vectors of {len(pictures)} pictures")
            return found

    def unload(self, model: str) -> bool:
        """See `Engine.unload`."""
        if self._children.current is None:
            return False
        with self._call() as child:
            child.send(messages.UnloadModel(model=model))
            *_, done = self._answers(child)
            return isinstance(done, messages.Done) and done.value is True

    def status(self) -> EngineStatus:
        """See `Engine.status`."""
        child, reported = self._children.current, self._children.reported
        return EngineStatus(
            device=self._device,
            name=self._children.name,
            pid=(reported.pid if reported and reported.pid else child.pid) if child else None,
            alive=child is not None,
            busy=self._busy,
            loaded_models=reported.loaded if child and reported else (),
            memory_used_bytes=reported.used if child and reported else None,
            memory_total_bytes=reported.total if reported else None,
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

    def _follow(self, child: ChildProcess, run: Run) -> None:
        """Hear the child until the run is done, or until it has to be ended for a cancelled job."""
        ask_at = 0.0
        while not run.done:
            message = child.next_message(POLL_S)
            if message is not None and (answer := run.take(message)) is not None:
                child.send(answer)
            end_if_hung(child, run.silence)
            if time.monotonic() < ask_at:
                continue
            ask_at = time.monotonic() + POLL_S
            for job_id in run.newly_cancelled():
                child.send(messages.CancelJob(job=job_id))
            if run.cancel_overdue:
                logger.warning("engine %s: a cancelled job did not end in time; its process is ended", self._device)
                child.kill()
                run.give_up_cancelled()
                return

    def _answers(self, child: ChildProcess) -> Iterator[messages.Message]:
        """The messages of a call, `Done` the last. Raises what the child answers instead of a result."""
        silence = Silence(self._settings)
        while True:
            message = child.next_message(POLL_S)
            if message is not None:
                silence.heard(type(message))
                if isinstance(message, messages.Crashed):
                    raise EngineCrashed(message.message)
                if isinstance(message, messages.Done) and message.error:
                    kind = CHILD_ERRORS.get(message.error.code, GenerationFailed)
                    raise _AnsweredError(kind(message.error.message, hint=message.error.hint))
                yield message
                if isinstance(message, messages.Done):
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


def _has_inputs(work: Work, inputs: Inputs, given: dict[str, bytes], watch: Watch) -> bool:
    """Open the pictures that the work starts from; one that is gone ends this work alone. Raises StorageUnavailable."""
    try:
        given |= {each: inputs.open(each) for each in pictures_of(work.request) if each not in given}
    except UnknownInput as error:
        watch.ended(work.job_id, Outcome(JobError.of(error)))
        return False
    return True


def _sent(work: Work) -> Work:
    # `extra` belongs to the doors: it has no effect on a picture, and may be large.
    return work.model_copy(update={"request": work.request.model_copy(update={"extra": {}})})
