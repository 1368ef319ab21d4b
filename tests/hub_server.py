"""A stand-in for the model hub over real HTTP: serves a folder as one repository, and fails the way a test asks."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = ".safetensors"  # what the hub keeps outside git, with a SHA-256


@dataclass
class Hub:
    """How the stand-in behaves.

    `cuts` are numbers of bytes after which answers end early, one used for each answer with a longer body; after
    `budget` bytes in all no more bytes of files come; `status` is what every call is answered instead, 0 = well;
    `damage` flips a byte.
    """

    repository: str
    folder: Path
    url: str = ""
    cuts: list[int] = field(default_factory=list)
    budget: int | None = None
    status: int = 0
    error_code: str = ""
    files_only: bool = False  # `status` is for files, the listing is served
    damage: bool = False
    ranges: bool = True
    bytes_per_s: float = 0
    calls: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range
    authorization: list[str | None] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)  # what the caller said it is
    bytes_sent: int = 0

    def listing(self) -> list[dict[str, object]]:
        """What the hub says of each file."""
        return [_sibling(self.folder, file) for file in sorted(self.folder.rglob("*")) if file.is_file()]


@contextmanager
def serve_hub(repository: str, folder: Path) -> Iterator[Hub]:
    """The stand-in on a free port, until the block ends."""
    hub = Hub(repository, folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self, hub)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(request: BaseHTTPRequestHandler, hub: Hub) -> None:
    """One call: the listing of the repository, or a file or part of it."""
    path = unquote(urlsplit(request.path).path)
    hub.calls.append((path, request.headers.get("Range")))
    hub.authorization.append(request.headers.get("Authorization"))
    hub.agents.append(request.headers.get("User-Agent", ""))
    is_file = path.startswith(f"/{hub.repository}/resolve/{COMMIT}/")
    if hub.status and (is_file or not hub.files_only):
        _reply(request, hub, b'{"error": "as asked for"}', hub.status, {"X-Error-Code": hub.error_code})
    elif path in (f"/api/models/{hub.repository}/revision/{name}" for name in ("main", COMMIT)):
        info = {"id": hub.repository, "sha": COMMIT, "siblings": hub.listing()}
        _reply(request, hub, json.dumps(info).encode(), 200, {"Content-Type": "application/json"})
    elif is_file:
        _send_file(request, hub, hub.folder / path.removeprefix(f"/{hub.repository}/resolve/{COMMIT}/"))
    else:
        _reply(request, hub, b'{"error": "Repository not found"}', 404, {"X-Error-Code": "RepoNotFound"})


def _send_file(request: BaseHTTPRequestHandler, hub: Hub, file: Path) -> None:
    if not file.is_file():
        _reply(request, hub, b"", 404, {"X-Error-Code": "EntryNotFound"})
        return
    data = file.read_bytes()
    if hub.damage and file.name.endswith(LARGE):
        data = data[:-1] + bytes([data[-1] ^ 1])
    headers = {"ETag": f'"{_sibling(hub.folder, file)["blobId"]}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
    start = 0
    if hub.ranges and (asked := request.headers.get("Range")):
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    _reply(request, hub, data[start:], 206 if "Content-Range" in headers else 200, headers)


def _reply(request: BaseHTTPRequestHandler, hub: Hub, body: bytes, status: int, headers: dict[str, str]) -> None:
    request.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        request.send_header(name, value)
    request.end_headers()
    if request.command == "HEAD":
        return
    cut = None
    if "ETag" in headers and hub.budget is not None and len(body) > (left := max(0, hub.budget - hub.bytes_sent)):
        cut = left
    elif "ETag" in headers and hub.cuts and len(body) > hub.cuts[0]:
        cut = hub.cuts.pop(0)
    pause = threading.Event()
    for at in range(0, len(body[:cut]), 65536):
        part = body[:cut][at : at + 65536]
        try:
            request.wfile.write(part)
        except OSError:  # the reader was ended
            request.close_connection = True
            return
        hub.bytes_sent += len(part)
        if hub.bytes_per_s:
            pause.wait(len(part) / hub.bytes_per_s)
    if cut is not None:
        request.close_connection = True


def _sibling(folder: Path, file: Path) -> dict[str, object]:
    data = file.read_bytes()
    git = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    found: dict[str, object] = {"rfilename": str(file.relative_to(folder)), "size": len(data), "blobId": git}
    if file.name.endswith(LARGE):
        digest = hashlib.sha256(data).hexdigest()
        found["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 134}
    return found
