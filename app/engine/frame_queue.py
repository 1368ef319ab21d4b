"""The frames between the thread that hears a child and the one that uses them, within a bound on their bytes."""

import threading
from collections import deque

from app.engine.frames import Frame

MOST_BYTES = 2**20  # beside the one frame that may be larger: pictures wait in the child, not here


class FrameQueue:
    """First in, first out, for one thread that puts and one that gets; `end` may be called by any."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._ended = False

    def put(self, frame: Frame) -> None:
        """Add a frame; waits while there is more than `MOST_BYTES` of raw bytes. After `end` it waits no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._bytes <= MOST_BYTES)
            self._frames.append(frame)
            self._bytes += len(frame.raw)
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Frame | None:
        """The next frame; None if none came in time. Raises EOFError when it ended and all were taken."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._frames or self._ended, timeout_s):
                return None
            if not self._frames:
                raise EOFError
            frame = self._frames.popleft()
            self._bytes -= len(frame.raw)
            self._changed.notify_all()
            return frame

    def end(self) -> None:
        """No more frames come: whoever waits, on either side, goes on."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
