"""The one living child of an engine: started when there is work, replaced when it ended, and why each one ended."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from app.catalog import ModelEntry
from app.core.errors import EngineCrashed, EngineUnavailable
from app.engine.messages import Hello, Status
from app.engine.process import ChildProcess

START_ATTEMPTS = 3  # for each call that needs a child: a later call begins to count anew
START_PAUSE_S = 0.2
STOP_S = 2.0
CLOSED = "The engine was closed."

logger = logging.getLogger(__name__)


class Starter(Protocol):
    """How children are started: see `Launcher`."""

    def spawn(self, on_status: Callable[[Status], None], *, last_try: bool = False) -> ChildProcess:
        """A new child that has not said hello yet. Raises EngineCrashed if it may not be started."""
        ...

    def covers(self, entry: ModelEntry) -> bool:
        """False if only a new child can read the model."""
        ...

    def greeting(self, child: ChildProcess) -> Hello:
        """Wait for the child's hello. Raises EngineCrashed or EngineHung."""
        ...


class Children:
    """Starts children, one at a time, until `close`. `living` is for one thread, the rest for any."""

    def __init__(self, launcher: Starter, device: str) -> None:
        self._launcher = launcher
        self._device = device
        self._child: ChildProcess | None = None
        self._starts = 0
        self._rests = 0
        self._noted = False
        self.closed = False
        self.name = device
        self.last_end: str | None = None
        """When and how the last child ended that was not asked to; None if none did."""
        self.reported: Status | None = None  # the child's last

    @property
    def current(self) -> ChildProcess | None:
        """The child that runs now, if one does."""
        child = self._child
        return child if child is not None and child.alive else None

    @property
    def restarts(self) -> int:
        """How many children were started in place of one that ended by itself."""
        return max(0, self._starts - 1 - self._rests)

    def note_end(self, why: str) -> None:
        """The child ended, or had to be ended, for this reason."""
        self._noted = True
        self.last_end = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {why}"

    def living(self, entry: ModelEntry | None = None) -> ChildProcess:
        """The child, or a new one if it has ended or cannot read the model. Raises EngineUnavailable."""
        child = self.current
        if child is not None and not self.closed:
            if entry is None or self._launcher.covers(entry):
                return child
            logger.info("engine %s: its process is replaced by one that can read %s", self._device, entry.key)
            self.rest()
        last_words = ""
        for attempt in range(START_ATTEMPTS):
            self._bury()
            if self.closed:
                raise EngineUnavailable(CLOSED)
            time.sleep(START_PAUSE_S * attempt)
            self._starts += 1
            try:
                child = self._launcher.spawn(self._take_status, last_try=attempt == START_ATTEMPTS - 1)
            except EngineCrashed as error:
                raise EngineUnavailable(error.message) from error
            self._child = child
            try:
                self.name = self._launcher.greeting(child).name or self._device
            except EngineCrashed as error:
                child.kill()
                last_words = child.last_lines
                self.note_end(error.message)
                logger.warning("engine %s did not start: %s", self._device, error)
            else:
                return child
        message = f"No process that makes pictures could be started on {self._device}."
        raise EngineUnavailable(message, hint=last_words or None)

    def rest(self) -> None:
        """End the child, so that all its memory is free; the next call starts another."""
        child = self.current
        if child is not None:
            self._child = None
            self._rests += 1
            child.stop(STOP_S)

    def close(self, *, busy: bool) -> None:
        """Start no more and end the one that runs; at once if it is busy. Idempotent."""
        self.closed = True
        child = self._child
        if child is not None and busy:
            child.kill()
        elif child is not None:
            child.stop(STOP_S)

    def _bury(self) -> None:
        """Collect what is left of a child that ended, and note how it ended if nobody did."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        if not self._noted:
            self.note_end(child.obituary())
        self._noted = False

    def _take_status(self, status: Status) -> None:
        self.reported = status
