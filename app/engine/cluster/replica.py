"""What runs on a machine of the cluster: our own engine with its confined child, called through Ray.

It gives the pictures and takes its inputs as bytes, and finds the models in the catalog of its own machine.
"""

import logging
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from app import __version__
from app.catalog import Catalog, ModelEntry
from app.core.errors import (
    AtelierError,
    EngineCrashed,
    EngineUnavailable,
    GenerationFailed,
    ModelNotInstalled,
    ModelRefused,
    UnknownModel,
)
from app.core.picture import Picture
from app.core.schema import JobError
from app.core.settings import EngineKind, Settings
from app.engine import messages
from app.engine.base import EngineEvent, ModelEvent, Outcome
from app.engine.cluster.attach import token_gap
from app.engine.devices import find_devices
from app.engine.frames import Frame
from app.engine.local import LocalEngine
from app.engine.loop import GivenInputs

# Where a model lies is each machine's own affair; that it is the same model is not.
PLACES = ("path", "config", "transformer")
SAME = ("pipeline", "repository", "revision", "variant", "lora", "lora_repository", "scheduler_config")

logger = logging.getLogger(__name__)


class Replica:
    """One device of one machine, from the start of this process to its end. `call` is for one caller at a time.

    The caller is the process that asked Ray for it; when that ends, Ray ends this one, and its child ends with it.
    """

    def __init__(self, gpus: float) -> None:
        settings = Settings()
        own = EngineKind.LOCAL if settings.engine is EngineKind.RAY else settings.engine
        device_name = settings.device if gpus else "cpu"
        self._settings = settings.model_copy(update={"engine": own, "device": device_name})
        self._catalog = Catalog(self._settings)
        self._node = socket.gethostname()
        device = find_devices(self._settings)[0]
        self._engine = LocalEngine(
            device.name,
            settings=self._settings,
            catalog=self._catalog,
            torch_device=device.torch_device,
            environment=device.environment,
        )
        # One thread for all calls: the child dies with the thread that started it.
        self._thread = ThreadPoolExecutor(1, "engine")
        self._cancelled: set[str] = set()
        self._kept = threading.Semaphore(0)

    def hello(self, version: str) -> dict[str, str | None]:
        """Start the child; `name` for people, and `refused`: why this machine must not be used, None if it may."""
        refused = token_gap(os.environ)
        if version != __version__:
            refused = f"it has Atelier {__version__}, the service {version}: the same request could be another picture."
        if refused is None:
            try:
                self._thread.submit(self._engine.start).result()
            except EngineUnavailable as error:
                refused = " ".join(part for part in (error.message, error.hint) if part)
        return {
            "name": f"{self._node}: {self._engine.status().name}",
            "refused": refused and f"{self._node}: {refused}",
        }

    def status(self) -> Frame:
        """The `Status` of its child."""
        now = self._engine.status()
        return messages.frame_of(
            messages.Status(
                loaded=now.loaded_models, used=now.memory_used_bytes, total=now.memory_total_bytes, pid=now.pid
            )
        )

    def tell(self, frame: Frame) -> None:
        """Hear of the call that runs: `CancelJob` or `PictureKept`."""
        match messages.parse(frame):
            case messages.CancelJob(job=job):
                self._cancelled.add(job)
            case messages.PictureKept():
                self._kept.release()

    def call(self, frame: Frame, files: Mapping[str, bytes]) -> Iterator[Frame]:
        """Do one call and give all that is to be told of it, `Done` or `Crashed` the last.

        `files`: the pictures that the work starts from, by hash. Raises EngineUnavailable if this machine cannot
        start its child.
        """
        told: queue.SimpleQueue[messages.Message | None] = queue.SimpleQueue()
        doing = self._thread.submit(self._do, messages.parse(frame), files, told.put)
        doing.add_done_callback(lambda _done: told.put(None))
        while (message := told.get()) is not None:
            yield messages.frame_of(message)
        yield self.status()
        yield messages.frame_of(_end_of(doing))

    def _do(
        self, call: messages.Message, files: Mapping[str, bytes], tell: Callable[[messages.Message], None]
    ) -> messages.Done:
        tell(messages.Taken())
        match call:
            case messages.RunWork():
                inputs = GivenInputs()
                inputs.files = dict(files)
                work = [item.model_copy(update={"entry": self._own(item.entry)}) for item in call.work]
                jobs = {item.job_id for item in work}
                self._cancelled &= jobs  # one may have come before its call
                self._engine.run(work, inputs, Telling(tell, self._cancelled, self._kept))
            case messages.LoadModel():
                self._own(call.entry)
                self._engine.load(call.entry.key, lambda event: tell(_loading(event)))
            case messages.LookAt():
                pictures = [files[name] for name in call.pictures]
                for vector in self._engine.look(self._own(call.entry), pictures, call.words):
                    tell(messages.Looked(vector=vector))
            case messages.UnloadModel():
                return messages.Done(value=self._engine.unload(call.model))
            case _:
                raise GenerationFailed(f"A machine of a cluster knows no call of kind {call.KIND!r}.")
        return messages.Done()

    def _own(self, entry: ModelEntry) -> ModelEntry:
        """The entry as it was when its job was accepted, with the places of this machine.

        Raises ModelNotInstalled, and ModelRefused if the same key is another model here.
        """
        try:
            here = self._catalog.get(entry.key)
        except UnknownModel as error:
            raise ModelNotInstalled(f"The machine {self._node} has no model {entry.key!r}.", hint=error.hint) from None
        for name in SAME:
            theirs, ours = getattr(entry, name), getattr(here, name)
            if theirs != ours:
                raise ModelRefused(
                    f"The model {entry.key!r} is another one on the machine {self._node}: "
                    f"{name} is {ours!r} there and {theirs!r} here."
                )
        places: dict[str, Any] = {name: getattr(here, name) for name in PLACES}
        controls = tuple(self._own(each) for each in entry.controls)
        upscaler = self._own(entry.upscaler) if entry.upscaler else None
        return entry.model_copy(update=places | {"controls": controls, "upscaler": upscaler})


class Telling:
    """The watch of a run (see `app.engine.base.Watch`) whose service is elsewhere: it tells all as messages."""

    def __init__(
        self, tell: Callable[[messages.Message], None], cancelled: set[str], kept: threading.Semaphore
    ) -> None:
        self._tell = tell
        self._cancelled = cancelled
        self._kept = kept
        self._loading: messages.Loading | None = None

    def step(self, event: EngineEvent) -> None:
        """See `Watch`."""
        if event.kind == "step":
            self._loading = None
            step = messages.StepDone(job=event.job_id, step=event.step, of=event.of, preview=event.preview or b"")
            self._tell(step)
            return
        loading = messages.Loading(phase=event.phase, done=event.step, of=event.of)
        if loading != self._loading:  # it comes once for each job; the service says it to all
            self._loading = loading
            self._tell(loading)

    def picture(self, job_id: str, picture: Picture) -> None:
        """See `Watch`. Returns when the service has taken it."""
        self._tell(
            messages.PictureMade(
                job=job_id,
                index=picture.index,
                seed=picture.seed,
                width=picture.width,
                height=picture.height,
                how=picture.how,
                rgb=picture.rgb,
            )
        )
        self._kept.acquire()

    def ended(self, job_id: str, outcome: Outcome) -> None:
        """See `Watch`."""
        self._tell(messages.JobEnded(job=job_id, **vars(outcome)))

    def cancelled(self, job_id: str) -> bool:
        """See `Watch`."""
        return job_id in self._cancelled


def _loading(event: ModelEvent) -> messages.Loading:
    return messages.Loading(phase=event.phase, done=event.done, of=event.of)


def _end_of(doing: "Future[messages.Done]") -> messages.Message:
    """How a call ended. Raises EngineUnavailable."""
    try:
        return doing.result()
    except EngineCrashed as error:
        return messages.Crashed(message=error.message)
    except EngineUnavailable:
        raise
    except AtelierError as error:
        return messages.Done(error=JobError.of(error))
    except Exception as error:  # the outer rim of this machine: one bad job must not end it
        logger.exception("a call failed")
        text = f"The picture could not be made ({type(error).__name__}: {str(error)[:300]})."
        return messages.Done(error=JobError.of(GenerationFailed(text)))
