"""A stranger's web server on this machine: another port is another origin."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Stranger:
    """`pages` maps a path to its HTML; `asked` lists what was asked for, queries too."""

    port: int
    pages: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def same_site(self) -> str:
        """Its address under the same host name as the page's."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def cross_site(self) -> str:
        """Its address under another host name."""
        return f"http://localhost:{self.port}"


@contextmanager
def stranger() -> Iterator[Stranger]:
    """The server, until the block ends. Any path that is not among its pages is an empty one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            body = told.pages.get(self.path.partition("?")[0], "<!doctype html><title>elsewhere</title>").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the console."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Stranger(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
