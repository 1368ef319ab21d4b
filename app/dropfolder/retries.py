"""Which claims of this watcher are to be worked on again: those whose answer could not be fetched or written."""

import threading
import time
from collections.abc import Iterable
from pathlib import Path

from app.dropfolder.prompt_file import PromptName

FIRST_S, MOST_S = 1.0, 60.0


class Retries:
    """Claims in work and claims put off, by stem. Used by the scan and by all workers; every call is atomic."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_work: set[str] = set()
        self._put_off: dict[str, tuple[float, float]] = {}  # when again (monotonic), after what pause

    def begin(self, stem: str) -> None:
        """A worker has it from now on."""
        with self._lock:
            self._in_work.add(stem)

    def end(self, stem: str) -> None:
        """It is answered, or no longer this watcher's."""
        with self._lock:
            self._in_work.discard(stem)
            self._put_off.pop(stem, None)

    def put_off(self, stem: str) -> None:
        """It failed: again after a second, and twice as long each time, up to a minute."""
        with self._lock:
            _, before = self._put_off.get(stem, (0.0, FIRST_S / 2))
            pause = min(2 * before, MOST_S)
            self._put_off[stem] = (time.monotonic() + pause, pause)
            self._in_work.discard(stem)

    def due(self, claims: Iterable[tuple[PromptName, Path]]) -> list[tuple[PromptName, Path]]:
        """Those of this watcher's claims that nobody works on and whose pause is over."""
        now = time.monotonic()
        with self._lock:
            return [
                (name, path)
                for name, path in claims
                if name.stem not in self._in_work and self._put_off.get(name.stem, (0.0, 0.0))[0] <= now
            ]
