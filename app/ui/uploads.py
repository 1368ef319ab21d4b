"""Files that visitors hand in: in memory for a moment, each under a name that was drawn here. None is ever a path."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from app.ui.addresses import MAX_UPLOAD_BYTES, UPLOAD_PATH
from app.ui.visitors import visitor_of

MAX_BYTES = 4 * MAX_UPLOAD_BYTES
MAX_FILES_EACH = 2
KEPT_S = 120.0


@dataclass
class _File:
    owner: str
    size: int
    until: float
    data: bytearray = field(default_factory=bytearray)
    whole: bool = False


class NoRoom(Exception):
    """Too much lies here already; try again in a minute."""


class Uploads:
    """At most 128 MiB of all visitors together and two files of each, for two minutes. May be used by many threads.

    Room is taken before the first byte is read, so that slow senders cannot take more than there is.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, now: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._now = now
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._lock = threading.Lock()

    def reserve(self, owner: str, size: int) -> str:
        """Room for a file of this size; its name. An owner's oldest file makes room for a third. Raises NoRoom."""
        name = secrets.token_urlsafe(24)
        with self._lock:
            self._forget_old()
            own = [key for key, file in self._files.items() if file.owner == owner]
            for key in own[: max(0, len(own) - MAX_FILES_EACH + 1)]:
                del self._files[key]
            if sum(file.size for file in self._files.values()) + size > self._max_bytes:
                raise NoRoom
            self._files[name] = _File(owner, size, self._now() + KEPT_S)
        return name

    def add(self, name: str, part: bytes) -> None:
        """The next bytes. Raises NoRoom for more than were reserved, or when the file has had to go."""
        with self._lock:
            file = self._files.get(name)
            if file is None or len(file.data) + len(part) > file.size:
                raise NoRoom
            file.data += part

    def finish(self, name: str) -> None:
        """All of it is here."""
        with self._lock:
            if name in self._files:
                self._files[name].whole = True

    def drop(self, name: str) -> None:
        """Forget it."""
        with self._lock:
            self._files.pop(name, None)

    def take(self, owner: str, name: str) -> bytes | None:
        """The file, once; None for any name that was not given to this owner, or that is too old."""
        with self._lock:
            self._forget_old()
            file = self._files.get(name)
            if file is None or file.owner != owner or not file.whole:
                return None
            return bytes(self._files.pop(name).data)

    def _forget_old(self) -> None:
        for name in [name for name, file in self._files.items() if file.until < self._now()]:
            del self._files[name]


def upload_routes(uploads: Uploads) -> APIRouter:
    """`POST /atelier/upload` with a file's bytes as the body: `{"name": …}`, which the page's events can then name."""
    router = APIRouter()

    @router.post(UPLOAD_PATH)
    async def upload(request: Request) -> Response:
        # The doorkeeper let it pass, so the length is a number in bounds.
        size = int(request.headers.get("content-length", "0"))
        try:
            name = uploads.reserve(visitor_of(request), size)
        except NoRoom:
            return JSONResponse({"code": "no_room"}, 503, {"Retry-After": "60"})
        try:
            async for part in request.stream():
                uploads.add(name, part)
        except (ClientDisconnect, NoRoom):
            uploads.drop(name)
            return JSONResponse({"code": "no_room"}, 503, {"Retry-After": "60"})
        uploads.finish(name)
        return JSONResponse({"name": name})

    return router
