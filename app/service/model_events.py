"""Following one model while it is loaded or unloaded."""

from collections.abc import Iterator

from pydantic import BaseModel, Field

from app.core.schema import JobError
from app.jobs.models import ModelState, topic_of
from app.service.parts import Parts
from app.service.streams import TICK_S, StreamEvent

UNLOADED = ModelState("unloaded")
SETTLED = frozenset({"loaded", "unloaded", "failed"})


class ModelProgress(BaseModel):
    """How far a load is. Units are bytes; 0 = not known."""

    phase: str = Field(description="downloading, loading or loaded; empty while it waits for its turn.")
    done: int
    of: int


def state_of(parts: Parts, key: str) -> ModelState:
    """How a model is right now."""
    return parts.dispatcher.model_states().get(key, UNLOADED)


def follow_model(parts: Parts, key: str) -> Iterator[StreamEvent | None]:
    """How the model is, then every change, until it is loaded, unloaded or failed; `None` for a second without one."""
    newest = parts.live.latest(topic_of(key))
    version = newest.version if newest is not None else 0
    state = state_of(parts, key)
    yield _event(key, state)
    kind = state.state
    while kind not in SETTLED and not parts.lifecycle.stopped.is_set():
        newest = parts.live.wait(topic_of(key), version, TICK_S)
        if newest is None:
            yield None
            continue
        version, kind = newest.version, newest.kind
        yield StreamEvent(kind, newest.data)


def _event(key: str, state: ModelState) -> StreamEvent:
    error: JobError | None = state.error
    data = {"model": key, "phase": state.phase, "done": state.done, "of": state.of}
    return StreamEvent(state.state, data | {"error": error.model_dump() if error is not None else None})
