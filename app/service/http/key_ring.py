"""The keys of a running service: read again when their file changes, so that a revoked key ends within a second."""

import logging
import threading
import time
from collections.abc import Collection
from datetime import UTC, datetime

from app.core.settings import Settings
from app.service.http.keys import ApiKey, ApiKeys, BadKeyFile, keys_file, read_keys

LOOK_EVERY_S = 1.0
_logger = logging.getLogger(__name__)


class KeyRing:
    """The accepted keys as they are now: of the file of `settings`, or always `keys`. Any thread.

    A service that started with keys never becomes one without: when the file is gone, nobody has a key. A file that
    cannot be understood leaves the keys as they were.
    """

    def __init__(self, keys: ApiKeys, settings: Settings | None = None) -> None:
        self.needed = bool(keys)
        self._keys = keys
        self._settings = settings
        self._stamp: object = None
        self._looked = float("-inf")
        self._used: dict[ApiKey, datetime] = {}
        self._lock = threading.Lock()

    def find(self, key: str) -> ApiKey | None:
        """The key if it is accepted; its use is noted."""
        found = self._current().find(key)
        if found is not None:
            self._used[found] = datetime.now(UTC)
        return found

    def accepts(self, key: ApiKey) -> bool:
        """True while a key that was accepted still is."""
        return key in self._current().keys and not key.is_over(datetime.now(UTC).date())

    def callers(self) -> Collection[str]:
        """Everybody who has a key."""
        return {key.caller for key in self._current().keys}

    def listed(self) -> list[tuple[ApiKey, datetime | None]]:
        """Each key and when it was last used since the service started."""
        return [(key, self._used.get(key)) for key in self._current().keys]

    def _current(self) -> ApiKeys:
        with self._lock:
            if self.needed and self._settings is not None and time.monotonic() >= self._looked + LOOK_EVERY_S:
                self._looked = time.monotonic()
                self._look(self._settings)
            return self._keys

    def _look(self, settings: Settings) -> None:
        try:
            found = keys_file(settings).stat()
            stamp: object = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            stamp = "gone"
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = ApiKeys() if stamp == "gone" else read_keys(settings)
        except BadKeyFile as error:
            _logger.error("The API keys stay as they were. %s", error.message)
            return
        _logger.info("The file of API keys was read: %d keys", len(self._keys.keys))


def ring_of(settings: Settings) -> KeyRing:
    """The keys of the settings' file, from now on. Raises BadKeyFile."""
    return KeyRing(read_keys(settings), settings)
