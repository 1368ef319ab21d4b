"""gunicorn's threaded worker with its own loop in front: whole requests in, leftovers out, and nobody holds a thread
who only sends or reads slowly. `/health` has a thread that nobody else gets.
"""

import errno
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import structlog
from gunicorn import http, util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from app.service.serving.connections import Connection, Connections
from app.service.serving.wire import MAX_ALL_LEFT_BYTES, Budget, Wire

SKIPPED_AT_ONCE = 2**20
READ_BYTES = 256 * 2**10
ACCEPTED_AT_ONCE = 64
TICK_S = 1.0
NO_ROOM_PAUSE_S = 0.2
FREED_AT_ONCE = 32
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
STATUSES = {
    errors.LimitRequestLine: (414, "URI Too Long"),
    errors.LimitRequestHeaders: (431, "Request Header Fields Too Large"),
    errors.ExpectationFailed: (417, "Expectation Failed"),
    errors.UnsupportedTransferCoding: (501, "Not Implemented"),
}


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves `cfg.worker_connections` connections at most with `cfg.threads` threads."""

    max_body_bytes = 32 * 2**20  # set by gunicorn_server.py

    def init_process(self) -> None:
        """Called by gunicorn in the new process."""
        self.connections = Connections(self.worker_connections)
        self.incoming = Budget(MAX_ALL_LEFT_BYTES + self.max_body_bytes)
        self.outgoing = Budget(MAX_ALL_LEFT_BYTES)
        self.express = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._accept_from = 0.0
        super().init_process()

    def load_wsgi(self) -> None:
        """Called by gunicorn. Building may take longer than the arbiter's patience: a large table is migrated, say."""
        with self._alive_meanwhile():
            super().load_wsgi()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One turn of the loop. What goes wrong with one connection ends that one."""
        for key, _ in self.poller.select(timeout):
            try:
                key.data(key.fileobj)
            except Exception:
                self.log.exception("The loop goes on after an error")
                if isinstance(key.data, partial):
                    self._drop(key.data.args[0])

    def run(self) -> None:
        """Called by gunicorn: the loop."""
        self.poller.register(self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks)
        ticked = time.monotonic()
        while self.alive:
            self.notify()
            self.set_accept_enabled(time.monotonic() >= self._accept_from)
            self.wait_for_and_dispatch_events(TICK_S if self._accepting else NO_ROOM_PAUSE_S)
            if time.monotonic() >= ticked + TICK_S:
                ticked = time.monotonic()
                self._tick()
            if not self.is_parent_alive():
                break
        self._end()

    # Coming in

    def accept(self, listener: Any) -> None:
        """Take the connections that wait, making room where there is none."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, client = listener.accept()
            except OSError as error:
                if error.errno in NO_DESCRIPTORS:
                    self._free_descriptors()
                elif error.errno == errno.ECONNABORTED:
                    continue
                elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK):
                    raise
                return
            address = client[0] if isinstance(client, tuple) else ""
            full, victim = self.connections.victim_for(address)
            if full and not self._make_room(victim):
                sock.close()
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn = Connection(Wire(sock, self.outgoing), client, listener.getsockname(), address)
            conn.parser = http.get_parser(self.cfg, conn.sock, client)
            self.connections.add(conn)
            self._read_on(conn)

    def _read_on(self, conn: Connection, begun: bytes = b"") -> None:
        conn.expect_request(self.max_body_bytes)
        self.poller.register(conn.sock.sock, selectors.EVENT_READ, partial(self._readable, conn))
        self.connections.waits(conn)
        if begun:
            self._feed(conn, begun)

    def _readable(self, conn: Connection, _sock: Any) -> None:
        try:
            data = conn.sock.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._feed(conn, data)
        else:
            self._drop(conn)

    def _feed(self, conn: Connection, data: bytes) -> None:
        if not self.incoming.take(len(data)):
            self._drop(conn)
            return
        conn.counted += len(data)
        if conn.incoming.feed(data):
            try:
                conn.sock.sendall(CONTINUE)
            except OSError:
                self._drop(conn)
                return
        conn.heard()
        if conn.incoming.complete:
            self._leave_poller(conn)
            self.connections.works(conn)
            pool = self.express if conn.incoming.is_health_check else self.tpool
            conn.sock.supply(bytes(conn.incoming.data))
            conn.incoming.data.clear()
            future = pool.submit(self.handle, conn)
            future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    # In a thread

    def handle(self, conn: Connection) -> bool:
        """Answer one request; True if another one may follow."""
        structlog.contextvars.clear_contextvars()
        request = None
        try:
            request = next(conn.parser)
            if conn.incoming.cut:
                request.headers.append(("CONNECTION", "close"))
            if not self.handle_request(request, conn) or conn.incoming.cut:
                return False
            while request.body.read(SKIPPED_AT_ONCE):  # what nobody wanted to know lies before the next request
                pass
            return not request.body.failed
        except (errors.NoMoreData, StopIteration):
            return False
        except OSError as error:
            self.log.debug("A connection ended early: %s", type(error).__name__)
            return False
        except Exception as error:  # noqa: BLE001 - told below, and never the end of a thread
            self.handle_error(request, conn.sock, conn.client, error)
            return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what is no HTTP, without a word of it in the log."""
        if isinstance(exc, errors.ParseException):
            status, reason = STATUSES.get(type(exc), (400, "Bad Request"))
            self.log.info("Refused what is no proper HTTP: %s", type(exc).__name__)
        else:
            status, reason = 500, "Internal Server Error"
            self.log.error("An answer failed", exc_info=exc)
        try:
            util.write_error(client, status, reason, "")
        except OSError:
            self.log.debug("Nobody heard why")

    # Going out

    def finish_request(self, conn: Connection, fs: Future[bool]) -> None:
        """Called in the loop when a thread is done with a connection."""
        self.incoming.give(conn.counted)
        conn.counted = 0
        try:
            follows = fs.result() and self.alive
            conn.then = partial(self._next_request, conn) if follows else partial(self._say_goodbye, conn)
            self._write_on(conn)
        except Exception:
            self.log.exception("A connection is given up")
            self._drop(conn)

    def _write_on(self, conn: Connection, _sock: Any = None) -> None:
        try:
            done = conn.sock.flush()
        except OSError:
            self._drop(conn)
            return
        if not done and _sock is None:
            conn.expect_reader(conn.sock.left)
            self.poller.register(conn.sock.sock, selectors.EVENT_WRITE, partial(self._write_on, conn))
        elif done:
            if _sock is not None:
                self._leave_poller(conn)
            conn.then()

    def _next_request(self, conn: Connection) -> None:
        behind = conn.parser.unreader.take_buffered() + conn.sock.rest()  # sent behind the request that is answered
        self._read_on(conn, behind)

    def _say_goodbye(self, conn: Connection) -> None:
        """Close without cutting off the answer's last bytes (RFC 9112, 9.6): the other side closes, or two seconds."""
        try:
            conn.sock.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
            return
        conn.expect_end()
        self.poller.register(conn.sock.sock, selectors.EVENT_READ, partial(self._drain, conn))

    def _drain(self, conn: Connection, _sock: Any) -> None:
        try:
            if conn.sock.sock.recv(READ_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._drop(conn)

    # Upkeep

    def _tick(self) -> None:
        now = time.monotonic()
        for conn in self.connections.late(now):
            if conn.is_reading and conn.incoming.has_begun:
                with suppress(OSError):
                    conn.sock.sendall(TOO_LATE)
            self._drop(conn)

    def _make_room(self, victim: Connection | None) -> bool:
        """End a connection whose sender takes its time; False if there is none."""
        if victim is not None:
            self._drop(victim)
        return victim is not None

    def _free_descriptors(self) -> None:
        """The work itself needs some too: fewer connections from now on."""
        self.log.warning("No descriptors are left with %d connections: fewer are kept", len(self.connections))
        self.connections.keep_fewer()
        for _ in range(FREED_AT_ONCE):
            if not self._make_room(self.connections.oldest_waiting()):
                self._accept_from = time.monotonic() + NO_ROOM_PAUSE_S
                return

    def _leave_poller(self, conn: Connection) -> None:
        with suppress(KeyError, ValueError):  # it was not there
            self.poller.unregister(conn.sock.sock)

    def _drop(self, conn: Connection) -> None:
        self._leave_poller(conn)
        self.incoming.give(conn.counted)
        conn.counted = 0
        self.connections.remove(conn)
        conn.sock.close()

    def _end(self) -> None:
        """Take nothing new, finish what is being answered, then go."""
        self.set_accept_enabled(False)
        for conn in self.connections.waiting():
            self._drop(conn)
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while len(self.connections) and time.monotonic() < deadline:
            self.notify()
            self.wait_for_and_dispatch_events(NO_ROOM_PAUSE_S)
            self._tick()
        for pool in (self.tpool, self.express):
            pool.shutdown(wait=False)
        self.poller.close()
        self.method_queue.close()
        for listener in self.sockets:
            listener.close()

    @contextmanager
    def _alive_meanwhile(self) -> Iterator[None]:
        done = threading.Event()

        def tell() -> None:
            while not done.wait(TICK_S):
                self.notify()

        threading.Thread(target=tell, name="boot", daemon=True).start()
        try:
            yield
        finally:
            done.set()
