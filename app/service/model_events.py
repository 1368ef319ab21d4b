"""Following one model while it is downloaded, loaded or unloaded."""

from collections.abc import Iterator
from typing import Any

from app.catalog import ModelEntry, hub_entry, is_hub_id
from app.core.errors import UnknownModel
from app.core.schema import JobError
from app.hub.downloads import DownloadState
from app.jobs.live import LiveEvents
from app.jobs.models import ModelState, topic_of
from app.service.http.streams import TICK_S, StreamEvent
from app.service.parts import Parts

UNLOADED = ModelState("unloaded")
SETTLED = frozenset({"loaded", "unloaded", "failed", "downloaded", "download_failed", "download_cancelled"})


def entry_of(parts: Parts, key: str, *, any_hub_id: bool = False) -> ModelEntry:
    """The entry of a catalog key, of a repository in the catalog, or of a hub id whose download was asked for.

    `any_hub_id` takes every hub id. Raises UnknownModel.
    """
    try:
        return parts.catalog.get(key)
    except UnknownModel:
        listed = [entry for entry in parts.catalog.entries() if entry.repository == key]
        if listed:
            return listed[0]
        if is_hub_id(key) and (any_hub_id or key in parts.downloads.states()):
            return hub_entry(key)
        raise


def state_of(parts: Parts, key: str) -> ModelState:
    """How a model is right now."""
    return parts.dispatcher.model_states().get(key, UNLOADED)


def tell_download(live: LiveEvents, key: str, kind: str, state: DownloadState) -> None:
    """Let those who follow a model know how its download is."""
    live.publish(topic_of(key), kind, _download_data(key, state))


def follow_model(parts: Parts, key: str) -> Iterator[StreamEvent | None]:
    """How the model is, then every change, until it is settled; `None` for a second without one."""
    newest = parts.live.latest(topic_of(key))
    version = newest.version if newest is not None else 0
    first = _first(parts, key)
    yield first
    kind = first.kind
    while kind not in SETTLED and not parts.lifecycle.stopped.is_set():
        newest = parts.live.wait(topic_of(key), version, TICK_S)
        if newest is None:
            yield None
            continue
        version, kind = newest.version, newest.kind
        yield StreamEvent(kind, newest.data)


def _first(parts: Parts, key: str) -> StreamEvent:
    download = parts.downloads.states().get(key)
    if download is not None and download.state != "failed":
        return StreamEvent(download.state, _download_data(key, download))
    state = state_of(parts, key)
    error: JobError | None = state.error
    data = {"model": key, "phase": state.phase, "done": state.done, "of": state.of}
    return StreamEvent(state.state, data | {"error": error.model_dump() if error is not None else None})


def _download_data(key: str, state: DownloadState) -> dict[str, Any]:
    data = {"model": key, "phase": "downloading", "done": state.done, "of": state.of}
    data |= {"bytes_per_s": state.bytes_per_s, "eta_s": state.eta_s}
    return data | {"error": state.error.model_dump() if state.error else None}
