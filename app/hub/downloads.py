"""The downloads of one service: asked for by anyone, done one after the other, each by a process of its own."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.environment import handed_on
from app.core.errors import ModelBusy, NotDownloadable
from app.core.models import Presence
from app.core.schema import JobError
from app.core.settings import PROJECT_FOLDER
from app.hub.disk import HubModel, clean, on_disk

RATE_SPAN_S = 10.0  # the speed shown is that of the last seconds
FOR_THE_HUB = {
    "HOME", "USERPROFILE", "XDG_CACHE_HOME", "TMPDIR", "TEMP", "TMP", "HF_HOME", "HF_TOKEN", "HF_TOKEN_PATH",
    "HF_ENDPOINT", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
    "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
}  # fmt: skip

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DownloadState:
    """How one download is: `state` is waiting, downloading or failed. Bytes; None = not known yet.

    A finished or cancelled download has no state: what is on the disk says how it is.
    """

    state: str
    done: int = 0
    of: int = 0
    bytes_per_s: float | None = None
    eta_s: float | None = None
    error: JobError | None = None


class Speed:
    """Speed and time left, from the bytes of the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def after(self, now: float, done: int, of: int) -> DownloadState:
        """The state when `done` of `of` bytes are there at `now` (seconds of a monotonic clock)."""
        self._seen.append((now, done))
        while now - self._seen[0][0] > RATE_SPAN_S:
            self._seen.popleft()
        (then, before), span = self._seen[0], now - self._seen[0][0]
        speed = max(0.0, (done - before) / span) if span > 0 and then < now else None
        return DownloadState("downloading", done, of, speed, (of - done) / speed if speed else None)


# The model's key, what happened (waiting, downloading, downloaded, download_failed, download_cancelled), how it is now.
Tell = Callable[[str, str, DownloadState], None]


class _Order:
    """One download that was asked for. The same key may be cancelled and asked for again: that is another one."""

    def __init__(self, key: str, model: HubModel) -> None:
        self.key, self.model = key, model
        self.state = DownloadState("waiting")
        self.child: subprocess.Popen[str] | None = None


class Downloads:
    """Every method may be called by any thread and returns at once. `command` replaces the child (for tests)."""

    def __init__(self, tell: Tell, *, offline: bool = False, command: Sequence[str] | None = None) -> None:
        self._tell = tell
        self._offline = offline
        self._command = tuple(command or (sys.executable, "-m", "app.hub.child"))
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._orders: dict[str, _Order] = {}  # in the order of asking
        self._current: _Order | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self, key: str, model: HubModel) -> None:
        """Ask for a model; nothing happens if it is complete or asked for already. Raises NotDownloadable."""
        if not model.repository:
            raise NotDownloadable(f"The model {key!r} is a local one; there is nothing to download.")
        if on_disk(model).presence is Presence.COMPLETE:
            return
        if self._offline:
            raise NotDownloadable(
                "Downloads are switched off on this machine.",
                hint="Unset HF_HUB_OFFLINE (or ATELIER_OFFLINE) to allow them.",
            )
        with self._work:
            asked = self._orders.get(key)
            if self._closed or (asked is not None and asked.state.state != "failed"):
                return
            self._orders.pop(key, None)
            self._orders[key] = order = _Order(key, model)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="downloads", daemon=True)
                self._thread.start()
            self._work.notify()
        self._tell(key, "waiting", order.state)

    def cancel(self, key: str) -> None:
        """Stop a download, or forget that one failed. What arrived stays, for the next time or for `clean`."""
        with self._lock:
            order = self._orders.pop(key, None)
            child = order.child if order else None
        if child is not None:
            child.kill()
        if order is not None:
            self._tell(key, "download_cancelled", DownloadState("cancelled", order.state.done, order.state.of))

    def clean(self, key: str, model: HubModel) -> int:
        """Remove what interrupted downloads of a model left; the bytes freed. Raises ModelBusy while it downloads."""
        with self._lock:
            asked = self._orders.get(key)
            at_work = self._current is not None and self._current.key == key  # or still ending
            if at_work or (asked is not None and asked.state.state != "failed"):
                raise ModelBusy(f"The model {key!r} is being downloaded.", hint="Cancel the download first.")
            self._orders.pop(key, None)
            return clean(model)

    def states(self) -> dict[str, DownloadState]:
        """Every download that waits, runs or has failed."""
        with self._lock:
            return {key: order.state for key, order in self._orders.items()}

    def stop(self) -> None:
        """End the running download; what arrived is kept. Idempotent."""
        with self._work:
            self._closed = True
            self._orders.clear()
            child, thread = self._current.child if self._current else None, self._thread
            self._work.notify_all()
        if child is not None:
            child.kill()
        if thread is not None:
            thread.join(5.0)

    def _run(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._closed or self._next() is not None)
                order = self._next()
                if self._closed or order is None:
                    return
                self._current = order
                order.state = DownloadState("downloading")
            try:
                self._download(order)
            except Exception as error:
                logger.exception("The download of %s failed", order.key)
                self._fail(order, JobError(code="download_failed", message=f"The download failed: {error}"))
            finally:
                with self._lock:
                    self._current = None

    def _next(self) -> _Order | None:
        return next((order for order in self._orders.values() if order.state.state == "waiting"), None)

    def _download(self, order: _Order) -> None:
        names = ("repository", "revision", "variant", "transformer", "single", "size_bytes")
        wanted = {name: getattr(order.model, name) for name in names}
        child = subprocess.Popen(
            [*self._command, json.dumps(wanted)],
            cwd=PROJECT_FOLDER,
            env=child_environment(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with self._lock:
            order.child = child
            cancelled = self._orders.get(order.key) is not order
        if cancelled:  # before there was a child to end
            child.kill()
        last = self._listen(order, child)
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()
        self._settle(order, last)

    def _listen(self, order: _Order, child: "subprocess.Popen[str]") -> dict[str, Any]:
        """Tell the child's progress; its last line."""
        pace, last = Speed(), dict[str, Any]()
        for line in child.stdout or ():
            last = _line(line)
            if last.get("kind") == "progress":
                state = pace.after(time.monotonic(), int(last["done"]), int(last["of"]))
                if self._is_wanted(order, state):
                    self._tell(order.key, "downloading", state)
        return last

    def _settle(self, order: _Order, last: Mapping[str, Any]) -> None:
        if last.get("kind") == "done":
            with self._lock:
                known = self._orders.get(order.key) is order
                if known:
                    del self._orders[order.key]
            if known:
                self._tell(order.key, "downloaded", DownloadState("downloaded", order.state.of, order.state.of))
        elif last.get("kind") == "error":
            self._fail(order, JobError(code=str(last["code"]), message=str(last["message"]), hint=last.get("hint")))
        else:
            self._fail(
                order, JobError(code="download_failed", message="The process that downloads ended unexpectedly.")
            )

    def _fail(self, order: _Order, error: JobError) -> None:
        state = DownloadState("failed", order.state.done, order.state.of, error=error)
        if self._is_wanted(order, state):
            logger.warning("The download of %s failed: %s", order.key, error.message)
            self._tell(order.key, "download_failed", state)

    def _is_wanted(self, order: _Order, state: DownloadState) -> bool:
        """Note a state; False if the download was cancelled meanwhile."""
        with self._lock:
            if self._orders.get(order.key) is not order:
                return False
            order.state = state
            return True


def child_environment(own: Mapping[str, str]) -> dict[str, str]:
    """What computing and the network need. The hub's token is needed here, and only here; no other secret is."""
    kept = handed_on(own, more=FOR_THE_HUB)
    # The service itself runs offline towards the hub; what it may download was decided before.
    online = {name: value for name, value in kept.items() if name not in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")}
    # The hub hears which model is wanted, and nothing about this machine or its user.
    return {"HF_HUB_DISABLE_TELEMETRY": "1"} | online


def _line(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
