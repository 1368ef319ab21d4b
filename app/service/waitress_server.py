"""waitress, for systems on which gunicorn does not run (Windows). One process; nobody restarts it."""

import signal
import threading

import waitress

from app.core.settings import Settings
from app.service.gunicorn_server import Running


def serve(settings: Settings, running: Running) -> None:
    """Serve until SIGTERM or SIGINT, then stop as gently as the settings say."""
    server = waitress.create_server(
        running.app,
        host=settings.host,
        port=settings.port,
        threads=settings.threads,
        max_request_body_size=settings.max_body_bytes,
        ident=None,
    )
    asked = threading.Event()

    def on_signal(_signal: int, _frame: object) -> None:
        running.refuse_work()
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    running.start()
    threading.Thread(target=server.run, name="waitress", daemon=True).start()
    asked.wait()
    running.stop(settings.drain_timeout_s)
    server.close()
