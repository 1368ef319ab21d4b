"""The loop inside a child process: takes frames, has a maker make pictures, sends them back.

The child has no database, no listener and no keys (see `confined`), and it never outlives its parent.
"""

import argparse
import ctypes
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from app.catalog import ModelEntry
from app.confine.memory import no_core_file
from app.core.errors import AtelierError, GenerationFailed, OutOfMemory
from app.core.schema import GenerationRequest, JobError
from app.engine.base import Outcome
from app.engine.frames import Channel, Frame, FrameError

MAX_PREVIEW_BYTES = 64 * 2**10
STATUS_S = 1.0
ALIVE_S = 0.1
PR_SET_PDEATHSIG = 1  # prctl(2)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What a child is told at its start."""

    device: str
    parent: int
    previews_per_s: float
    machine_size: str | None
    memory_tier: str | None = None


@dataclass(frozen=True)
class Work:
    """One job of a run: its resolved request, and an event that is set when someone cancels it."""

    job_id: str
    request: GenerationRequest
    cancelled: threading.Event = field(default_factory=threading.Event)


class Report:
    """How a maker says that it lives. Only calls from the thread that makes the pictures count."""

    def __init__(self, channel: Channel, previews_per_s: float) -> None:
        self._channel = channel
        self._pause_s = 1 / previews_per_s if previews_per_s else float("inf")
        self._last_preview: dict[str, float] = {}
        self._alive_at = -1e9

    def loading(self, phase: str, done: int = 0, of: int = 0) -> None:
        """A model is being read: `phase` is downloading, loading or loaded; the unit is the maker's own."""
        self._alive_at = -1e9  # what comes after it is told at once
        self._channel.send("loading", phase=phase, done=done, of=of)

    def alive(self) -> None:
        """The picture is being made: from here on silence is judged as while denoising. Free to call often."""
        now = time.monotonic()
        if now - self._alive_at >= ALIVE_S:
            self._alive_at = now
            self._channel.send("alive")

    def wants_preview(self, job_id: str) -> bool:
        """True if enough time went by since this job's last preview to make another."""
        return time.monotonic() - self._last_preview.get(job_id, -1e9) >= self._pause_s

    def step(self, job_id: str, step: int, of: int, preview: bytes | None = None) -> None:
        """`step` of `of` denoising steps are done. A preview that comes too soon or is too large is not sent."""
        if preview and (len(preview) > MAX_PREVIEW_BYTES or not self.wants_preview(job_id)):
            preview = None
        if preview:
            self._last_preview[job_id] = time.monotonic()
        self._channel.send("step", preview or b"", job=job_id, step=step, of=of)


class Maker(Protocol):
    """Makes pictures on one device. All calls come from one thread, but `memory` and `loaded` from any."""

    name: str

    def make(self, work: Sequence[Work], entry: ModelEntry, folder: Path, report: Report) -> list[Outcome]:
        """One outcome for each piece of work, in order; load the model first if need be. May raise AtelierError."""
        ...

    def load(self, entry: ModelEntry, folder: Path, report: Report) -> None:
        """Load a model; free if it is loaded."""
        ...

    def unload(self, key: str) -> bool:
        """Free a model. False if it was not loaded."""
        ...

    def loaded(self) -> tuple[str, ...]:
        """Keys of the loaded models."""
        ...

    def memory(self) -> tuple[int | None, int | None]:
        """Bytes used and bytes there are on the device; None = unknown."""
        ...


class Loop:
    """Serves one parent until it says exit or goes away. `run` is the main thread; frames come in another."""

    def __init__(self, channel: Channel, maker: Maker, options: Options) -> None:
        self._channel = channel
        self._maker = maker
        self._report = Report(channel, options.previews_per_s)
        self._calls: queue.SimpleQueue[tuple[Frame, list[Work]]] = queue.SimpleQueue()
        self._cancels: dict[str, threading.Event] = {}
        self._busy = threading.Event()

    def run(self) -> None:
        """Never returns: the process ends when the parent says exit or is gone."""
        threading.Thread(target=self._listen, name="frames", daemon=True).start()
        threading.Thread(target=self._tell_status, name="status", daemon=True).start()
        self._channel.send("hello", name=self._maker.name)
        while True:
            frame, work = self._calls.get()
            with self._working():
                self._serve(frame, work)

    def _serve(self, frame: Frame, work: list[Work]) -> None:
        """One call. The last frame of every call is `done`."""
        result: dict[str, Any] = {}
        try:
            if frame.kind == "unload":
                result = {"value": self._maker.unload(frame.fields["model"])}
            else:
                entry, folder = ModelEntry.model_validate(frame.fields["entry"]), Path(frame.fields["folder"])
                if frame.kind == "load":
                    self._maker.load(entry, folder, self._report)
                else:
                    self._send(self._maker.make(work, entry, folder, self._report))
        except AtelierError as error:
            result = {"error": error.as_dict()}
        except MemoryError:
            result = {"error": OutOfMemory().as_dict()}
        except Exception as error:  # the outer rim of a maker: one bad job must not end the child
            logger.exception("a call of kind %s failed", frame.kind)
            text = f"The picture could not be made ({type(error).__name__}: {str(error)[:300]})."
            result = {"error": GenerationFailed(text).as_dict()}
        self._status()
        self._channel.send("done", **result)

    def _send(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            for picture in outcome.pictures:
                self._channel.send(
                    "picture",
                    picture.rgb,
                    job=outcome.job_id,
                    index=picture.index,
                    seed=picture.seed,
                    width=picture.width,
                    height=picture.height,
                    how=picture.how,
                )
            error = outcome.error.model_dump() if outcome.error else None
            self._channel.send(
                "outcome", job=outcome.job_id, error=error, cancelled=outcome.cancelled, seconds=outcome.seconds
            )

    def _listen(self) -> None:
        try:
            while (frame := self._channel.receive()).kind != "exit":
                if frame.kind == "cancel":
                    event = self._cancels.get(frame.fields["job"])
                    if event:
                        event.set()
                    continue
                work = [Work(job["id"], GenerationRequest(**job["request"])) for job in frame.fields.get("jobs", ())]
                # Known here before it is queued, so that a cancel right behind it finds it.
                self._cancels = {item.job_id: item.cancelled for item in work}
                self._channel.send("taken")  # a child that was stopped while it had nothing to do is found by this
                self._calls.put((frame, work))
        except (EOFError, FrameError, OSError):
            pass
        # The main thread may be deep inside a computation: nothing but this ends it at once.
        os._exit(0)

    def _tell_status(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(STATUS_S)
            if self._busy.is_set():
                self._status()

    def _status(self) -> None:
        used, total = self._maker.memory()
        self._channel.send("status", loaded=list(self._maker.loaded()), used=used, total=total)

    @contextmanager
    def _working(self) -> Iterator[None]:
        self._busy.set()
        yield
        self._busy.clear()


def die_with_parent(parent: int) -> None:
    """On Linux the kernel ends this process when the thread that started it ends; elsewhere end-of-file does."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before we asked
        os._exit(0)


def serve(make_maker: Callable[[Options], Maker], arguments: Sequence[str] | None = None) -> None:
    """The `main` of a child: `OPTIONS-AS-JSON FD`. Never returns."""
    parser = argparse.ArgumentParser(description="Started by the image service; of no use by hand.")
    parser.add_argument("options", type=lambda text: Options(**json.loads(text)))
    parser.add_argument("fd", type=int)
    given = parser.parse_args(arguments)
    die_with_parent(given.options.parent)
    no_core_file()
    for number in (signal.SIGINT, signal.SIGTERM):  # they may go to the whole group: the parent drains, then ends us
        signal.signal(number, signal.SIG_IGN)
    os.set_inheritable(given.fd, False)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    channel = Channel(socket.socket(fileno=given.fd))
    Loop(channel, make_maker(given.options), given.options).run()


def job_error(error: AtelierError) -> JobError:
    """The error as a job carries it."""
    return JobError(code=error.code, message=error.message, hint=error.hint)
