"""gunicorn with one threaded worker. The arbiter restarts a worker that dies; the worker builds and owns all parts."""

import ctypes
import logging
import os
import resource
import signal
import sys
import threading
import time
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from app.core.errors import AtelierError
from app.core.settings import Settings
from app.service.serving.gunicorn_worker import Worker
from app.service.serving.running import EXIT_CANNOT_START, Build, Running

PR_SET_PDEATHSIG = 1  # prctl(2)
GRACEFUL_S = 29  # then the arbiter ends the worker, so that a stop never takes longer than 30 s
MAX_REQUEST_LINE = 8190
MAX_CONNECTIONS = 12_000
OWN_DESCRIPTORS = 512  # the database's, the engines', pictures that are read
PAUSED_S = 5.0  # the arbiter looks once a second
_logger = logging.getLogger(__name__)


def serve(settings: Settings, build: Build) -> None:
    """Serve until SIGTERM or SIGINT. Does not return: gunicorn ends the process itself."""
    _GunicornServer(settings, build).run()


class _GunicornServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Serves what `build` makes. `build` is called in the worker, with the arbiter's process id."""

    def __init__(self, settings: Settings, build: Build) -> None:
        self._settings = settings
        self._build = build
        self._running: Running | None = None
        self._arbiter = os.getpid()
        super().__init__()

    def run(self) -> None:
        """Called once, in the arbiter's process."""
        PatientArbiter(self).run()

    def load_config(self) -> None:
        """Called by gunicorn."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        options: dict[str, Any] = {
            "bind": f"{host}:{settings.port}",
            "worker_class": Worker,
            "worker_connections": most_connections(),
            "workers": 1,
            "threads": settings.threads,
            "timeout": settings.watchdog_s,  # of the worker's loop; a thread may wait for a picture as long as it takes
            "sendfile": False,
            "forwarder_headers": "",
            "graceful_timeout": GRACEFUL_S,
            "control_socket_disable": True,  # it would lie in the home folder
            "limit_request_line": MAX_REQUEST_LINE,
            "logger_class": _PlainLogger,
            "loglevel": settings.log_level.lower(),
            "proc_name": "atelier",
            "post_fork": self._die_with_arbiter,
            "post_worker_init": self._start,
            "worker_int": self._stop_at_once,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called by gunicorn in the worker: the WSGI app."""
        Worker.max_body_bytes = self._settings.max_body_bytes
        try:
            self._running = self._build(self._arbiter)
        except AtelierError as error:
            _logger.error("The service cannot start: %s", " ".join(filter(None, (error.message, error.hint))))
            sys.exit(EXIT_CANNOT_START)
        return self._running.app

    def _die_with_arbiter(self, arbiter: Any, worker: Any) -> None:
        """Without its arbiter a worker would hold port and data folder against the next start for up to 30 s."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != arbiter.pid:  # it died before the call
                os.kill(os.getpid(), signal.SIGKILL)

    def _start(self, worker: Any) -> None:
        assert self._running is not None  # noqa: S101 - gunicorn called load before
        running, asked = self._running, threading.Event()

        def drain() -> None:
            asked.wait()
            try:
                running.stop(self._settings.drain_timeout_s)
            except Exception:
                _logger.exception("Stopping went wrong; the next start recovers what ran")
            worker.handle_exit(signal.SIGTERM, None)

        # The thread exists before the signal: a signal handler must not start one, for it may interrupt a start.
        threading.Thread(target=drain, name="drain", daemon=True).start()

        def on_term(_signal: int, _frame: object) -> None:
            running.refuse_work()
            asked.set()

        # gunicorn's own handler closes the door at once; ours answers 503 while running jobs are being finished.
        signal.signal(signal.SIGTERM, on_term)
        running.start()

    def _stop_at_once(self, _worker: Any) -> None:
        """SIGINT and SIGQUIT: what runs goes back into the queue."""
        if self._running is not None:
            self._running.refuse_work()
            self._running.stop(0)


class PatientArbiter(Arbiter):  # type: ignore[misc]
    """Replaces a worker that gives no sign of life, but not when the whole machine was paused: then nobody gave one."""

    def __init__(self, app: Any) -> None:
        self._looked = time.monotonic()
        self._patient_until = 0.0
        super().__init__(app)

    def murder_workers(self) -> None:
        """Called by gunicorn about once a second."""
        now = time.monotonic()
        if now - self._looked > PAUSED_S:
            self._patient_until = now + self.timeout
        self._looked = now
        if now >= self._patient_until:
            super().murder_workers()


def most_connections() -> int:
    """How many connections the worker may have: what descriptors there are, less those for its own work."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < MAX_CONNECTIONS + OWN_DESCRIPTORS:
        soft = min(hard, MAX_CONNECTIONS + OWN_DESCRIPTORS) if hard != resource.RLIM_INFINITY else MAX_CONNECTIONS * 2
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(MAX_CONNECTIONS, max(soft - OWN_DESCRIPTORS, soft // 2))


class _PlainLogger(Logger):  # type: ignore[misc]
    """Sends gunicorn's records through our own handlers."""

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers = []
            log.propagate = True
        self.access_log.disabled = True  # the app logs each request itself, with its id
