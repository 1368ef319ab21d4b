"""One file from the hub: gone on with where it stopped, checked against its checksum, put into the cache whole."""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
from huggingface_hub import hf_hub_url
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_stream_backoff

from app.core.errors import DownloadFailed
from app.hub.disk import INCOMPLETE
from app.hub.download_plan import DownloadPlan, PlannedFile
from app.hub.reach import guard_redirects

CHUNK_BYTES = 2**20
TRIES = 6  # in a row without a new byte
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 8.0
SILENCE_S = 30.0


class Meter:
    """Counts the bytes of all files of a download. Any thread; `tell(done, of)` is called at most every `pause_s`."""

    def __init__(self, done: int, of: int, tell: Callable[[int, int], None], pause_s: float = 0.2) -> None:
        self._done, self._of, self._tell, self._pause_s = done, of, tell, pause_s
        self._lock = threading.Lock()
        self._told = float("-inf")

    def add(self, count: int) -> None:
        """`count` more bytes are here; fewer, if what was here was of no use."""
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._told < self._pause_s and self._done < self._of:
                return
            self._told = now
            self._tell(self._done, self._of)


class FileTransfer:
    """Brings files of one plan into one storage folder. `fetch` is for any thread, one file at a time in each."""

    def __init__(self, repository: str, plan: DownloadPlan, storage: Path, meter: Meter) -> None:
        self._repository, self._plan, self._storage, self._meter = repository, plan, storage, meter
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End all `fetch` calls soon, with DownloadFailed: another file could not be had."""
        self._stopped.set()

    def fetch(self, file: PlannedFile) -> None:
        """Download one file if it is not here. Raises DownloadFailed, httpx2.HTTPError, HfHubHTTPError, OSError.

        What has arrived stays on the disk whatever happens, unless its checksum is wrong.
        """
        pointer, blob = self._pointer(file), self._storage / "blobs" / file.blob
        if pointer.is_file() and pointer.stat().st_size == file.size:
            return
        if not blob.is_file():
            blob.parent.mkdir(parents=True, exist_ok=True)
            partial = blob.with_name(blob.name + INCOMPLETE)
            self._receive(file, partial)
            self._check(file, partial)
            partial.replace(blob)
        self.place(file)

    def place(self, file: PlannedFile) -> None:
        """Let the snapshot show a file whose blob is here."""
        pointer, blob = self._pointer(file), self._storage / "blobs" / file.blob
        if pointer.is_file() and pointer.stat().st_size == file.size:
            return
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.unlink(missing_ok=True)
        _link(blob, pointer)

    def _pointer(self, file: PlannedFile) -> Path:
        return self._storage / "snapshots" / self._plan.commit / file.path

    def _receive(self, file: PlannedFile, partial: Path) -> None:
        url = hf_hub_url(self._repository, file.path, revision=self._plan.commit)
        headers = build_hf_headers(library_name="atelier") | {"Accept-Encoding": "identity"}
        tries = 0
        with partial.open("ab", buffering=0) as stream:  # what is told as here is on the disk
            while (here := stream.tell()) != file.size or file.size == 0:
                try:
                    self._stream(url, headers, stream, file)
                    if file.size == 0:
                        return
                except (httpx2.TransportError, DownloadFailed):
                    if self._stopped.is_set():
                        raise
                    tries = tries + 1 if stream.tell() <= here else 1
                    if tries >= TRIES:
                        raise
                    time.sleep(min(FIRST_PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S))

    def _stream(self, url: str, headers: dict[str, Any], stream: BinaryIO, file: PlannedFile) -> None:
        """One answer of the hub, appended to what is there."""
        guard_redirects()
        here = stream.tell()
        if here > file.size:  # not of this file
            here = self._rewind(stream, file)
        wanted = {"Range": f"bytes={here}-"} if here else {}
        calls = {"headers": headers | wanted, "timeout": SILENCE_S, "retry_on_exceptions": (), "max_retries": 3}
        with http_stream_backoff("GET", url, **calls) as answer:  # tries again when the hub says 429 or 5xx
            hf_raise_for_status(answer)
            if here and answer.status_code != 206:  # the whole file comes, whatever was asked for
                here = self._rewind(stream, file)
            for chunk in answer.iter_bytes():  # as it arrives: what is only buffered would be lost with the line
                here += len(chunk)
                if self._stopped.is_set():
                    raise DownloadFailed("The download was stopped.")
                if here > file.size:
                    self._rewind(stream, file)
                    raise DownloadFailed(f"{file.path} is longer than the {file.size} bytes that the hub said.")
                stream.write(chunk)
                self._meter.add(len(chunk))
        if here < file.size:
            raise DownloadFailed(f"{file.path} ended after {here} of {file.size} bytes.")

    def _rewind(self, stream: BinaryIO, file: PlannedFile) -> int:
        self._meter.add(-min(stream.tell(), file.size))
        stream.seek(0)
        stream.truncate()
        return 0

    def _check(self, file: PlannedFile, partial: Path) -> None:
        """Files kept outside git have a SHA-256; the others are named by git's own checksum."""
        if file.sha256 is not None:
            digest, wanted = hashlib.sha256(), file.sha256
        elif len(file.blob) == 40:
            digest, wanted = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False), file.blob
        else:
            return
        with partial.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
        if digest.hexdigest() != wanted:
            self._meter.add(-partial.stat().st_size)
            partial.unlink()
            raise DownloadFailed(f"{file.path} arrived damaged: its checksum is wrong.", hint="Try again.")


def _link(blob: Path, pointer: Path) -> None:
    """Put a blob into a snapshot: as a link, or where the system has none, as the file itself."""
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:
        blob.replace(pointer)
