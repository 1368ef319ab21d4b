"""The loop inside a child process: takes calls, has a maker make pictures, sends them back.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.catalog import ModelEntry
from app.confine.memory import no_core_file
from app.core.errors import AtelierError, GenerationFailed, OutOfMemory, UnknownInput
from app.core.picture import Picture
from app.core.schema import JobError
from app.engine import messages
from app.engine.base import Inputs, Outcome, Work
from app.engine.frames import Channel, FrameError

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
    compute: str = "torch"
    compiled: str | None = None  # folder for what OpenVINO computes from


class Report:
    """How a maker tells what it does, and hears what is not wanted any more. For the thread that makes the pictures."""

    def __init__(self, channel: Channel, previews_per_s: float) -> None:
        self._channel = channel
        self._pause_s = 1 / previews_per_s if previews_per_s else float("inf")
        self._last_preview: dict[str, float] = {}
        self._alive_at = -1e9
        self._kept = threading.Semaphore(0)
        self._cancelled: dict[str, threading.Event] = {}

    def loading(self, phase: str, done: int = 0, of: int = 0) -> None:
        """A model is being read: `phase` is downloading, loading or loaded; the unit is the maker's own."""
        self._alive_at = -1e9  # what comes after it is told at once
        messages.send(self._channel, messages.Loading(phase=phase, done=done, of=of))

    def alive(self) -> None:
        """The picture is being made: from here on silence is judged as while denoising. Free to call often."""
        now = time.monotonic()
        if now - self._alive_at >= ALIVE_S:
            self._alive_at = now
            messages.send(self._channel, messages.Alive())

    def wants_preview(self, job_id: str) -> bool:
        """True if enough time went by since this job's last preview to make another."""
        return time.monotonic() - self._last_preview.get(job_id, -1e9) >= self._pause_s

    def step(self, job_id: str, step: int, of: int, preview: bytes | None = None) -> None:
        """`step` of `of` denoising steps are done. A preview that comes too soon or is too large is not sent."""
        if preview and (len(preview) > MAX_PREVIEW_BYTES or not self.wants_preview(job_id)):
            preview = None
        if preview:
            self._last_preview[job_id] = time.monotonic()
        messages.send(self._channel, messages.StepDone(job=job_id, step=step, of=of, preview=preview or b""))

    def picture(self, job_id: str, picture: Picture) -> None:
        """A picture is done. Returns when the service has taken it: what is made after it cannot cost this one."""
        made = messages.PictureMade(
            job=job_id,
            index=picture.index,
            seed=picture.seed,
            width=picture.width,
            height=picture.height,
            how=picture.how,
            rgb=picture.rgb,
        )
        messages.send(self._channel, made)
        self._kept.acquire()

    def ended(self, job_id: str, outcome: Outcome) -> None:
        """This piece of work is over."""
        messages.send(self._channel, messages.JobEnded(job=job_id, **vars(outcome)))

    def cancelled(self, job_id: str) -> bool:
        """True if nobody wants the rest of this job any more."""
        return self._cancelled[job_id].is_set()

    # For the loop, in the thread that listens

    def expect(self, work: Sequence[Work]) -> None:
        """A call comes next with this work."""
        self._cancelled = {item.job_id: threading.Event() for item in work}

    def cancel(self, job_id: str) -> None:
        """Somebody cancelled this job; of a call that is over, nobody cares."""
        if event := self._cancelled.get(job_id):
            event.set()

    def kept(self) -> None:
        """The picture that was told last is taken."""
        self._kept.release()


class GivenInputs:
    """The pictures that came with a call (see `Inputs`)."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def open(self, sha256: str) -> bytes:
        """The bytes of one picture's file. Raises UnknownInput."""
        if sha256 not in self.files:
            raise UnknownInput(f"The picture {sha256!r} did not come with its job.")
        return self.files[sha256]


class Maker(Protocol):
    """Makes pictures on one device. All calls come from one thread, but `memory` and `loaded` from any."""

    name: str

    def make(self, work: Sequence[Work], folder: Path, inputs: Inputs, report: Report) -> None:
        """Make all images of all the work, as `Engine.run` promises, with one model; load it first if need be.

        Tells `report` each picture, and the end of each piece of work. Raises AtelierError for all that is still open.
        """
        ...

    def load(self, entry: ModelEntry, folder: Path, report: Report) -> None:
        """Load a model; free if it is loaded."""
        ...

    def look(
        self, entry: ModelEntry, folder: Path, pictures: Sequence[bytes], words: str, report: Report
    ) -> list[bytes]:
        """What pictures' files mean, and last the words if there are any: see `Engine.look`."""
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
    """Serves one parent until it says exit or goes away. `run` is the main thread; messages come in another."""

    def __init__(self, channel: Channel, maker: Maker, options: Options) -> None:
        self._channel = channel
        self._maker = maker
        self._report = Report(channel, options.previews_per_s)
        self._inputs = GivenInputs()
        self._calls: queue.SimpleQueue[messages.Call] = queue.SimpleQueue()
        self._busy = threading.Event()

    def run(self) -> None:
        """Never returns: the process ends when the parent says exit or is gone."""
        threading.Thread(target=self._listen, name="messages", daemon=True).start()
        threading.Thread(target=self._tell_status, name="status", daemon=True).start()
        messages.send(self._channel, messages.Hello(name=self._maker.name))
        while True:
            call = self._calls.get()
            with self._working():
                self._serve(call)

    def _serve(self, call: messages.Call) -> None:
        """One call. The last message of every call is `Done`."""
        done = messages.Done()
        try:
            match call:
                case messages.RunWork():
                    self._maker.make(call.work, Path(call.folder), self._inputs, self._report)
                case messages.LoadModel():
                    self._maker.load(call.entry, Path(call.folder), self._report)
                case messages.LookAt():
                    self._look(call)
                case messages.UnloadModel():
                    done = messages.Done(value=self._maker.unload(call.model))
        except AtelierError as error:
            done = messages.Done(error=JobError.of(error))
        except MemoryError:
            done = messages.Done(error=JobError.of(OutOfMemory()))
        except Exception as error:  # the outer rim of a maker: one bad job must not end the child
            logger.exception("a call of kind %s failed", call.KIND)
            text = f"The picture could not be made ({type(error).__name__}: {str(error)[:300]})."
            done = messages.Done(error=JobError.of(GenerationFailed(text)))
        self._inputs.files.clear()  # before `Done`: what comes after it is of the next call
        self._status()
        messages.send(self._channel, done)

    def _look(self, call: messages.LookAt) -> None:
        files = [self._inputs.open(each) for each in call.pictures]
        for vector in self._maker.look(call.entry, Path(call.folder), files, call.words, self._report):
            messages.send(self._channel, messages.Looked(vector=vector))

    def _listen(self) -> None:
        try:
            while not isinstance(message := messages.parse(self._channel.receive()), messages.Exit):
                match message:
                    case messages.InputGiven():
                        self._inputs.files[message.sha256] = message.file
                    case messages.CancelJob():
                        self._report.cancel(message.job)
                    case messages.PictureKept():
                        self._report.kept()
                    case messages.RunWork():
                        # Known here before it is queued, so that a cancel right behind it finds it.
                        self._report.expect(message.work)
                        self._take(message)
                    case messages.LoadModel() | messages.UnloadModel() | messages.LookAt():
                        self._take(message)
        except (EOFError, FrameError, OSError):
            pass
        # The main thread may be deep inside a computation: nothing but this ends it at once.
        os._exit(0)

    def _take(self, call: messages.Call) -> None:
        # A child that was stopped while it had nothing to do is found by this.
        messages.send(self._channel, messages.Taken())
        self._calls.put(call)

    def _tell_status(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(STATUS_S)
            if self._busy.is_set():
                self._status()

    def _status(self) -> None:
        used, total = self._maker.memory()
        messages.send(self._channel, messages.Status(loaded=self._maker.loaded(), used=used, total=total))

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
