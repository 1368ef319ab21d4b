"""Having an engine look at pictures while no job waits, so that they are found by what they show."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.catalog import Catalog
from app.core.errors import AtelierError, EngineCrashed, EngineUnavailable, StorageUnavailable, UnknownImage
from app.engine.base import Engine

ROWS = 500  # of the library that are gone through at a time
AT_ONCE = 8  # pictures of one look: a job that comes meanwhile waits for no more
QUIET_S = 2.0  # without work before pictures are looked at
AGAIN_S = 60.0  # after a failure
ANEW_S = 600.0  # until the library is gone through again: deleted pictures come back, and others take their numbers
PATIENCE_S = 30.0  # that a question waits for a device
BUSY = "Every device is busy with jobs, so nothing can be looked at now; try again."
logger = logging.getLogger(__name__)


class LookStore(Protocol):
    """What is needed of the library."""

    def not_looked_at(self, model: str, after: int, limit: int) -> tuple[list[str], int]:
        """Ids of images without a vector, and the number of the last row that was gone through."""
        ...

    def open(self, id: str) -> bytes:
        """A picture's file. Raises UnknownImage, StorageUnavailable."""
        ...

    def keep_looks(self, model: str, vectors: Mapping[str, bytes]) -> None:
        """Keep vectors by image ids."""
        ...


@dataclass
class _Question:
    model: str
    pictures: Sequence[bytes]
    words: str
    answered: threading.Event = field(default_factory=threading.Event)
    vector: bytes = b""
    error: AtelierError | None = None


class LookDesk:
    """What is to be looked at, the library by the model of `key` if there is one. Anyone asks; the engines' threads do
    it, between jobs."""

    def __init__(
        self, store: LookStore, catalog: Catalog, key: str | None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.key = key
        self._store = store
        self._catalog = catalog
        self._now = now
        self._questions: deque[_Question] = deque()
        self._filling = threading.Lock()
        self._after = 0
        self._left: list[str] = []
        self._at_once = AT_ONCE
        self._not_before = 0.0
        self._anew_at = now() + ANEW_S

    def ask(self, wake: Callable[[], None], model: str, *, picture: bytes | None = None, words: str = "") -> bytes:
        """What a model makes of a picture's file or of words, as soon as a device is free: see `Engine.look`.

        Raises EngineUnavailable if none is within half a minute, and what the model's loading raises.
        """
        question = _Question(model, (picture,) if picture is not None else (), words)
        self._questions.append(question)
        wake()
        if not question.answered.wait(PATIENCE_S):
            raise EngineUnavailable(BUSY)
        if question.error is not None:
            raise question.error
        return question.vector

    def answer_one(self, engine: Engine) -> bool:
        """Answer the oldest question; False if there is none. Its errors go to who asked."""
        try:
            question = self._questions.popleft()
        except IndexError:
            return False
        try:
            [question.vector] = engine.look(self._catalog.get(question.model), question.pictures, question.words)
        except AtelierError as error:
            question.error = error
        finally:
            question.answered.set()
        return True

    def fill_one(self, engine: Engine, quiet_s: float) -> bool:
        """Look at some pictures that nothing is known of yet, if for `quiet_s` there was no work; False if not."""
        if self.key is None or quiet_s < QUIET_S or self._now() < self._not_before:
            return False
        if not self._filling.acquire(blocking=False):
            return False
        try:
            return self._fill(engine, self.key)
        except (StorageUnavailable, AtelierError) as error:
            logger.warning("Pictures cannot be looked at now: %s", error.message)
            self._not_before = self._now() + AGAIN_S
            return False
        finally:
            self._filling.release()

    def _fill(self, engine: Engine, key: str) -> bool:
        if not self._left:
            before = self._after
            self._left, self._after = self._store.not_looked_at(key, before, ROWS)
            if not self._left:
                if self._after == before and self._now() >= self._anew_at:
                    self._after, self._anew_at = 0, self._now() + ANEW_S
                return self._after > before
        ids = self._left[: self._at_once]
        files = {each: file for each in ids if (file := self._file(each)) is not None}
        try:
            vectors = engine.look(self._catalog.get(key), list(files.values())) if files else []
            self._at_once = AT_ONCE
        except EngineCrashed:
            if len(ids) > 1:  # one of them may be the reason
                self._at_once = 1
                raise
            vectors = [b""] * len(files)
        self._store.keep_looks(key, dict(zip(files, vectors, strict=True)))
        self._left = self._left[len(ids) :]
        return True

    def _file(self, image_id: str) -> bytes | None:
        try:
            return self._store.open(image_id)
        except UnknownImage:  # deleted meanwhile
            return None
