"""One child process as its parent sees it: started, heard, ended, and never left behind."""

import logging
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import cast

from app.core.errors import EngineCrashed
from app.core.settings import PROJECT_FOLDER
from app.engine import messages
from app.engine.frame_queue import FrameQueue
from app.engine.frames import Channel, FrameError

KEPT_LOG_LINES = 20
MAX_LOG_LINE_BYTES = 4096
JOIN_S = 2.0  # a grandchild may hold the output open for longer; the threads are daemons

logger = logging.getLogger(__name__)


class ChildProcess:
    """Starts `command FD` with one end of a socket pair as its only inherited file, and listens to it.

    Start it from a thread that lives as long as the child shall: on Linux the child dies with that thread.
    `Status` goes to `on_status` (in the listening thread) and, as all others, to `next_message`. What the child
    prints goes to the log. Frames that are none end the child. `on_end` is called when it has ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        name: str,
        send_timeout_s: float,
        on_status: Callable[[messages.Status], None],
        on_end: Callable[[], None],
    ) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [*command, str(theirs.fileno())],
                    cwd=PROJECT_FOLDER,
                    env=dict(environment),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            except OSError:
                ours.close()
                on_end()
                raise
        self._channel = Channel(ours, send_timeout_s=send_timeout_s)
        self._frames = FrameQueue()
        self._on_status = on_status
        self._on_end = on_end
        self._lines: deque[str] = deque(maxlen=KEPT_LOG_LINES)
        self._name = name
        self._threads = (
            threading.Thread(target=self._listen, name=f"{name}-frames", daemon=True),
            threading.Thread(target=self._log, name=f"{name}-log", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False once it has ended."""
        return self._process.poll() is None

    @property
    def last_lines(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self._lines)

    def send(self, message: messages.Message) -> None:
        """Send it a message. Raises EngineCrashed if it cannot take it; it is ended then."""
        try:
            messages.send(self._channel, message)
        except OSError as error:
            self.kill()
            raise EngineCrashed(self.obituary()) from error

    def next_message(self, timeout_s: float) -> messages.Message | None:
        """Its next message, or None if none came in time. Raises EngineCrashed if it has ended, FrameError."""
        try:
            frame = self._frames.get(timeout_s)
        except EOFError:
            self.kill()
            raise EngineCrashed(self.obituary()) from None
        return None if frame is None else messages.parse(frame)

    def stop(self, timeout_s: float) -> None:
        """Ask it to end, and end it if it has not by then."""
        with suppress(OSError):  # it may be gone already
            messages.send(self._channel, messages.Exit())
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            logger.warning("%s did not end by itself", self._name)
        self.kill()

    def kill(self) -> None:
        """End it now and leave nothing of it behind. Idempotent; any thread."""
        self._process.kill()
        self._frames.end()
        self._process.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(JOIN_S)

    def obituary(self) -> str:
        """How it ended, in a sentence."""
        code = self._process.poll()
        if code is None:
            return "The process that makes the pictures does not listen."
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"The process that makes the pictures {how}."

    def _listen(self) -> None:
        try:
            while True:
                frame = self._channel.receive()
                if frame.kind == messages.Status.KIND:
                    self._on_status(cast("messages.Status", messages.parse(frame)))
                self._frames.put(frame)
        except EOFError:
            pass
        except FrameError as error:
            logger.warning("%s is ended: %s", self._name, error)
        finally:
            # Without its frames it is of no use, and a parent that waits for them must not wait in vain.
            self._process.kill()
            self._channel.close()
            self._frames.end()
            self._process.wait()
            self._on_end()

    def _log(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  (stdout=PIPE above)
        with self._process.stdout as stream:
            while line := stream.readline(MAX_LOG_LINE_BYTES):
                text = line.decode(errors="replace").rstrip()
                if text:
                    self._lines.append(text)
                    # A library's warning may quote the prompt ("this part of your input was cut off: …").
                    logger.debug("%s: %s", self._name, text)
