"""A small folder of thumbnails beside the page, so that a library is not fetched twice from a far service."""

import hashlib
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path


class ThumbnailCache:
    """Keeps at most `max_bytes` of WebP files, the least used ones go first. Emptied when it is made.

    May be used by many threads. Names are hashes of our own, so nothing from outside ever becomes a path.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_bytes = max_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0  # of all of them
        self._lock = threading.Lock()

    def get(self, image_id: str, width: int, fetch: Callable[[], bytes]) -> bytes:
        """The thumbnail, from the folder or from `fetch`."""
        name = hashlib.sha256(f"{image_id}-{width}".encode()).hexdigest() + ".webp"
        file = self._folder / name
        with self._lock:
            known = name in self._sizes
            if known:
                self._sizes.move_to_end(name)
        if known:
            try:
                return file.read_bytes()
            except OSError:
                pass  # removed meanwhile, by us or by the owner: fetch it again
        data = fetch()
        self._write(file, data)
        return data

    def _write(self, file: Path, data: bytes) -> None:
        temporary = file.with_suffix(f".{threading.get_ident()}.tmp")
        try:
            temporary.write_bytes(data)
            os.replace(temporary, file)
        except OSError:
            temporary.unlink(missing_ok=True)
            return  # a full disk costs speed here, nothing else
        with self._lock:
            self._bytes += len(data) - self._sizes.pop(file.name, 0)
            self._sizes[file.name] = len(data)
            while self._bytes > self._max_bytes and len(self._sizes) > 1:
                oldest, size = self._sizes.popitem(last=False)
                self._bytes -= size
                (self._folder / oldest).unlink(missing_ok=True)
