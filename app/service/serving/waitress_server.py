"""waitress, for systems on which gunicorn does not run. One process builds and owns all parts; nobody restarts it."""

import logging
import os
import signal
import sys
import threading

import waitress

from app.core.errors import AtelierError
from app.core.settings import Settings
from app.service.serving.running import EXIT_CANNOT_START, Build

_logger = logging.getLogger(__name__)


def serve(settings: Settings, build: Build) -> None:
    """Serve until SIGTERM or SIGINT, then stop as gently as the settings say (at once after SIGINT)."""
    try:
        running = build(os.getpid())
    except AtelierError as error:
        _logger.error("The service cannot start: %s", " ".join(filter(None, (error.message, error.hint))))
        sys.exit(EXIT_CANNOT_START)
    server = waitress.create_server(
        running.app,
        host=settings.host,
        port=settings.port,
        threads=settings.threads,
        max_request_body_size=settings.max_body_bytes,
        ident=None,
    )
    asked = threading.Event()
    drain_s = settings.drain_timeout_s

    def on_signal(number: int, _frame: object) -> None:
        nonlocal drain_s
        drain_s = 0 if number == signal.SIGINT else drain_s
        running.refuse_work()
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    running.start()
    threading.Thread(target=server.run, name="waitress", daemon=True).start()
    while not asked.wait(1):  # with a time limit: on Windows an endless wait hears no signal
        pass
    running.stop(drain_s)
    server.close()
