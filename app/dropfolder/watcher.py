"""One watcher of one drop folder: claims prompt files, submits jobs, writes the answers."""

import os
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog
import watchfiles

from app.client import ImageServiceClient
from app.core.errors import IdempotencyConflict, ModelNotInstalled, ServiceError, ServiceUnreachable
from app.core.schema import Job, JobState
from app.dropfolder.beside import Beside, files_beside, read_beside
from app.dropfolder.claims import HEARTBEAT_PREFIX, TEMPORARY_PREFIX, Claims
from app.dropfolder.prompt_file import PromptName, RefusedPrompt, key_of, read_prompt
from app.dropfolder.retries import Retries

log = structlog.get_logger(__name__)
MOST_PAUSE_S = 60.0  # whatever the service says
_RETRY_STATUS = (401, 403, 408, 409, 429)  # the owner or time can mend these; a 422 or 404 cannot be mended


def _is_no_watchers_own(_: watchfiles.Change, path: str) -> bool:
    """False for heartbeats and answers half written: a scan touches a heartbeat, and must not cause the next one."""
    return not os.path.basename(path).startswith((HEARTBEAT_PREFIX, TEMPORARY_PREFIX))


def _can_be_mended(error: ServiceError) -> bool:
    """By the owner or by time, soon. A model that is not here is a matter of gigabytes: whoever waits is told."""
    if error.code == ModelNotInstalled.code:
        return False
    return error.http_status >= 500 or error.http_status in _RETRY_STATUS


class Watcher:
    """Answers every prompt file of `folder` with `same-name.png` or `same-name-error.txt`, then removes it.

    A file is read once it has not changed for `settle_s`. `parallel` files are worked on at once; the service's
    queue decides the order. The folder scan, every `scan_s`, is the truth; file events only make it sooner, and
    `polling` does without them (network file systems). Run by `run()`, ended by `stop()`; `kill -9` at any
    moment loses nothing: the claim is taken over, and the idempotency key gives the same job again.
    """

    def __init__(
        self,
        folder: Path,
        client: ImageServiceClient,
        *,
        model: str | None = None,
        parallel: int = 4,
        settle_s: float = 0.1,
        scan_s: float = 2.0,
        dead_after_s: float = 30.0,
        polling: bool = False,
    ) -> None:
        self._folder = folder.resolve(strict=True)
        self._client = client
        self._model = model
        self._settle_s = settle_s
        self._scan_s = scan_s
        self._polling = polling
        self._beat_s = dead_after_s / 6
        self._claims = Claims(self._folder, dead_after_s=dead_after_s)
        self._slots = threading.Semaphore(parallel)
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="drop")
        self._stop = threading.Event()
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}
        self._retries = Retries()

    def stop(self) -> None:
        """End `run()` soon. What is claimed and unfinished is left for the next watcher. Any thread, any signal."""
        self._stop.set()

    def run(self) -> None:
        """Watch until `stop()`. A folder that cannot be read is waited for, even if it is gone for a while."""
        heart = threading.Thread(target=self._beat, name="drop-heartbeat", daemon=True)
        heart.start()
        log.info("watching", folder=str(self._folder), claimant=self._claims.claimant)
        try:
            self._watch()
        finally:
            self._stop.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
            heart.join()
            self._claims.stop()

    def _beat(self) -> None:
        while not self._stop.wait(self._beat_s):
            try:
                self._claims.beat()
            except OSError as error:  # a full or absent disk: the claims may be taken over, which is safe
                log.warning("no_heartbeat", reason=str(error))

    def _watch(self) -> None:
        next_scan = 0.0
        while not self._stop.is_set():
            try:
                for changes in self._events():
                    now = time.monotonic()
                    if changes or self._seen or now >= next_scan:
                        next_scan = now + self._scan_s
                        self._scan()
            except (OSError, RuntimeError) as error:  # a network disk hiccups, the folder is away, too many are watched
                log.warning("folder_unreadable", folder=str(self._folder), reason=str(error))
                self._stop.wait(self._scan_s)

    def _events(self) -> Iterator[object]:
        """What changed in the folder, whenever something did and at least every `settle_s`."""
        return watchfiles.watch(
            self._folder, stop_event=self._stop, recursive=False, force_polling=self._polling,
            poll_delay_ms=250, debounce=50, step=20, rust_timeout=int(self._settle_s * 1000) or 1,
            yield_on_timeout=True, watch_filter=_is_no_watchers_own, raise_interrupt=False,
        )  # fmt: skip

    def _scan(self) -> None:
        for name, path in [*self._retries.due(self._claims.mine()), *self._claims.take_over_from_the_dead()]:
            self._start(name, path)
        waiting = self._claims.waiting()
        names = {name.stem for name in waiting}
        self._seen = {stem: seen for stem, seen in self._seen.items() if stem in names}
        for name in waiting:
            if self._stop.is_set() or not self._settled(name) or not self._slots.acquire(blocking=False):
                continue
            claimed = None
            try:
                claimed = self._claims.take(name)
            finally:
                if claimed is None:
                    self._slots.release()
            if claimed:
                self._seen.pop(name.stem, None)
                self._begin(name, claimed)

    def _start(self, name: PromptName, path: Path) -> None:
        while not self._slots.acquire(timeout=0.2):
            if self._stop.is_set():
                return
        self._begin(name, path)

    def _begin(self, name: PromptName, path: Path) -> None:
        """Work on a claim in the pool; the caller holds a slot for it."""
        self._retries.begin(name.stem)
        self._pool.submit(self._work, name, path)

    def _settled(self, name: PromptName) -> bool:
        """True once size and time of change stood still; an empty file gets longer, its writer may just begin."""
        try:
            info = os.lstat(self._folder / name.prompt)
        except OSError:  # gone, or its disk is: the next scan looks again
            return False
        state = (info.st_size, info.st_mtime_ns)
        now = time.monotonic()
        before, since = self._seen.get(name.stem, (None, now))
        if before != state:
            since = now
        self._seen[name.stem] = (state, since)
        patience = self._settle_s if info.st_size else max(2.0, 10 * self._settle_s)
        return now - since >= patience

    def _work(self, name: PromptName, path: Path) -> None:
        """An outer rim: one file must never end the watcher, and no fault may leave its claim lying."""
        try:
            self._answer(name, path)
        except FileNotFoundError as error:
            log.info("claim_gone", file=name.prompt, reason=str(error))  # another watcher's now, or deleted by hand
            self._retries.end(name.stem)
        except (OSError, ServiceError) as error:
            log.warning("answer_put_off", file=name.prompt, reason=str(error))
            self._retries.put_off(name.stem)
        except Exception:
            log.exception("prompt_file_failed", file=name.prompt)
            self._retries.put_off(name.stem)
        else:
            self._retries.end(name.stem)
        finally:
            self._slots.release()

    def _answer(self, name: PromptName, path: Path) -> None:
        try:
            job = self._job(name, path)
            if job is None:
                return  # stopped meanwhile: the claim stays and is taken over
            if job.state is not JobState.SUCCEEDED:
                raise RefusedPrompt(job.error.message if job.error else "The job was cancelled.")
            self._write(name.picture, self._picture(job))
            log.info("answered", file=name.picture, job_id=job.id)
        except RefusedPrompt as refusal:
            self._write(name.error, f"{refusal}\n".encode())
            log.info("refused", file=name.error, reason=str(refusal))
        path.unlink(missing_ok=True)
        for picture in files_beside(self._folder, name):
            picture.unlink(missing_ok=True)

    def _picture(self, job: Job) -> bytes:
        try:
            if job.images:
                return self._client.image_bytes(job.images[0].id)
        except ServiceError as error:
            if error.http_status != 404:
                raise
        raise RefusedPrompt("The picture was made and has been deleted from the library since.")

    def _job(self, name: PromptName, path: Path) -> Job | None:
        prompt, beside = read_prompt(path), read_beside(self._folder, name)
        request = {"prompt": prompt.text, "model": self._model, "width": name.width, "height": name.height}
        return self._insist(request, beside, key_of(name, prompt, beside.seal(), self._model))

    def _insist(self, request: dict[str, Any], beside: Beside, key: str) -> Job | None:
        """The finished job, however often the service is restarted or full meanwhile. None when stopped."""
        pause_s = 0.5
        while not self._stop.is_set():
            try:
                pictures = beside.fields(lambda picture: self._client.upload(picture).sha256)
                job = self._client.submit(request | pictures, idempotency_key=key, origin="drop")
                while not job.state.finished and not self._stop.wait(0.1):
                    job = self._client.job(job.id)
                return job if job.state.finished else None
            except ServiceUnreachable as error:
                log.warning("service_unreachable", reason=error.message)
            except ServiceError as error:
                if error.code == IdempotencyConflict.code:
                    # The key made a job before, which another version of the service read in another way.
                    key += "-again"
                    continue
                if not _can_be_mended(error):
                    raise RefusedPrompt(" ".join(filter(None, (error.message, error.hint)))) from error
                log.warning("service_busy", status=error.http_status, reason=error.message)
                pause_s = max(pause_s, min(error.retry_after_s or 0, MOST_PAUSE_S))
            self._stop.wait(pause_s)
            pause_s = min(pause_s * 2, 10.0)
        return None

    def _write(self, name: str, data: bytes) -> None:
        """Write an answer complete or not at all: a hidden temporary file, fsync, rename."""
        temporary = self._folder / f"{TEMPORARY_PREFIX}{self._claims.claimant}-{secrets.token_hex(8)}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            with os.fdopen(fd, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(temporary, self._folder / name)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
