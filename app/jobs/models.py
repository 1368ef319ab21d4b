"""Loading and unloading models on request, between the jobs of one engine."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.core.errors import AtelierError
from app.core.schema import JobError
from app.engine.base import Engine, ModelEvent
from app.jobs.live import LiveEvents

FAILURE_SHOWN_S = 60.0  # long enough for whoever asked; others have not asked, and next time it may work
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelState:
    """What is going on with one model: `state` is waiting, loading, loaded, unloading or failed.

    `phase` is downloading, loading or loaded; `done` of `of` are bytes, 0 = unknown. `error` is set when failed.
    """

    state: str
    phase: str = ""
    done: int = 0
    of: int = 0
    error: JobError | None = None


def topic_of(model: str) -> str:
    """Where the news of a model are told live."""
    return f"model:{model}"


class ModelDesk:
    """The requests to one engine. Anyone asks; the engine's own thread serves."""

    def __init__(self, engine: Engine, live: LiveEvents, now: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._live = live
        self._now = now
        self._failed_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._requests: deque[tuple[str, str]] = deque()
        self._states: dict[str, ModelState] = {}

    def ask(self, action: str, model: str) -> None:
        """Put `load` or `unload` of a model on the list; the same request twice in a row is one."""
        with self._lock:
            if (action, model) in self._requests:
                return
            self._requests.append((action, model))
        self._tell(model, ModelState("waiting"))

    def length(self) -> int:
        """How many requests wait."""
        with self._lock:
            return len(self._requests)

    def states(self) -> dict[str, ModelState]:
        """What is going on here; a model that is loaded or not, without more, is absent. A failure stays a minute."""
        with self._lock:
            for model, at in list(self._failed_at.items()):
                if self._now() - at >= FAILURE_SHOWN_S:
                    del self._failed_at[model], self._states[model]
            return dict(self._states)

    def rest(self) -> None:
        """Have the engine give back all memory; its models are told to be unloaded."""
        loaded = self._engine.status().loaded_models
        self._engine.rest()
        for model in loaded:
            self._tell(model, ModelState("unloaded"))

    def serve_one(self) -> bool:
        """Do the oldest request; False if there is none. Its errors are told and logged, never raised."""
        with self._lock:
            if not self._requests:
                return False
            action, model = self._requests.popleft()
        try:
            if action == "load":
                self._load(model)
            else:
                self._unload(model)
        except AtelierError as error:
            logger.warning("Model %s: %s failed: %s", model, action, error.message)
            self._tell(model, ModelState("failed", error=JobError.of(error)))
        except Exception as error:
            logger.exception("Model %s: %s failed", model, action)
            failure = JobError(code=AtelierError.code, message=str(error) or type(error).__name__)
            self._tell(model, ModelState("failed", error=failure))
        return True

    def _load(self, model: str) -> None:
        self._tell(model, ModelState("loading", "loading"))
        self._engine.load(model, self._progress)
        self._tell(model, ModelState("loaded", "loaded"))

    def _unload(self, model: str) -> None:
        self._tell(model, ModelState("unloading"))
        self._engine.unload(model)
        self._tell(model, ModelState("unloaded"))

    def _progress(self, event: ModelEvent) -> None:
        if event.phase != "loaded":
            self._tell(event.model, ModelState("loading", event.phase, event.done, event.of))

    def _tell(self, model: str, state: ModelState) -> None:
        with self._lock:
            self._states[model] = state
            self._failed_at.pop(model, None)
            if state.state == "failed":
                self._failed_at[model] = self._now()
            if state.state in ("loaded", "unloaded"):  # the engine's own status says so from now on
                del self._states[model]
        error = state.error.model_dump() if state.error else None
        data = {"model": model, "phase": state.phase, "done": state.done, "of": state.of, "error": error}
        self._live.publish(topic_of(model), state.state, data)
