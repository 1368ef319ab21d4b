"""A small HTTP server on a free port whose answers a test decides."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JOB = {
    "id": "j1",
    "state": "running",
    "origin": "cli",
    "request": {"prompt": "a red apple"},
    "created_at": "2026-11-20T12:00:00Z",
}


@dataclass
class Call:
    """One request that the server received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeService:
    """What the server was asked, and what it answers: `answer(call, handler)` writes the whole response."""

    port: int
    calls: list[Call] = field(default_factory=list)
    answer: Callable[[Call, BaseHTTPRequestHandler], None] = lambda call, handler: send_json(handler, {})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def send_json(handler: BaseHTTPRequestHandler, value: Any, status: int = 200, **headers: str) -> None:
    """One complete JSON answer."""
    body = json.dumps(value).encode()
    handler.send_response(status)
    for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), text)
    handler.end_headers()
    handler.wfile.write(body)


def send_events(handler: BaseHTTPRequestHandler, text: str) -> None:
    """An event stream that ends with the connection."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(text.encode())
    handler.close_connection = True


@contextmanager
def fake_service() -> Iterator[FakeService]:
    """A running server; its answers can be changed at any time."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            call = Call(self.command, self.path, dict(self.headers.items()), body)
            fake.calls.append(call)
            with suppress(ConnectionError):
                fake.answer(call, self)

        do_POST = do_PATCH = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake = FakeService(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
