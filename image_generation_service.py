"""The image service: `python image_generation_service.py`. Builds all parts by hand, starts and stops them.

Exit codes: 0 stopped as asked, 2 refused by the settings, 3 another service has the data folder (or the parts could
not be built), 4 the port is taken.
"""

import argparse
import importlib
import logging
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine as Database

from app.catalog import Catalog, kinds_of
from app.core.errors import AtelierError
from app.core.logs import configure_logs
from app.core.settings import EngineKind, Settings, WebServer, wrong_setting
from app.core.task import ModelKind
from app.database import Notices, check_whole, open_database
from app.engine.cluster.attach import check_cluster
from app.engine.cluster.engine import build_ray_engines
from app.engine.devices import build_engines, check_device
from app.hub.downloads import Downloads
from app.inputs import InputStore
from app.jobs.dispatcher import Dispatcher
from app.jobs.forecast import Forecast
from app.jobs.grids import GridTable
from app.jobs.live import LiveEvents
from app.jobs.looks import LookDesk
from app.jobs.relay import Relay
from app.jobs.retention import forget_finished
from app.jobs.sketches import SketchDesk
from app.jobs.table import JobTable
from app.library import Library
from app.migrations import newest_version, upgrade
from app.service import Parts, create_app
from app.service.http.key_ring import KeyRing, ring_of
from app.service.http.keys import ApiKeys, Scope, keys_file, new_key
from app.service.model_events import tell_download
from app.service.serving import addresses, backups, data_lock, private_data
from app.service.traces import Traces, check_traces, open_traces
from app.shipped import unpack_shipped
from app.storage import check_store, open_store

EXIT_REFUSED, EXIT_DATA_TAKEN, EXIT_PORT_TAKEN = 2, 3, 4
JANITOR_EVERY_S = 3600.0
RESTART_PATIENCE_S = 35.0  # an ending worker holds the data folder until it has drained
LOG_FILE = "image_service.log"
_logger = logging.getLogger("atelier")


class Service:
    """All parts of one service process."""

    def __init__(
        self,
        parts: Parts,
        dispatcher: Dispatcher,
        database: Database,
        keys: KeyRing,
        relay: Relay | None = None,
        traces: Traces | None = None,
    ) -> None:
        self.parts = parts
        self.app: Flask = create_app(parts, keys)
        if traces is not None:
            traces.watch(self.app)
        self._dispatcher = dispatcher
        self._database = database
        self._relay = relay
        self.traces = traces
        self.data_lock: data_lock.DataLock | None = None  # kept here: a lock that nobody refers to is given back
        self._janitor = threading.Thread(target=self._clean, name="janitor", daemon=True)

    def start(self) -> None:
        """Take up the jobs that were left, and begin to work."""
        self._dispatcher.start()
        if self._relay is not None:
            self._relay.start(self.parts.live, self._dispatcher.told)
        self._janitor.start()

    def refuse_work(self) -> None:
        """Answer 503 to submits from now on."""
        self.parts.lifecycle.draining.set()

    def stop(self, drain_s: float) -> None:
        """Running jobs may finish for `drain_s` seconds or go back into the queue; then every waiting call ends."""
        self.refuse_work()
        self.parts.downloads.stop()
        self._dispatcher.stop(drain_s)
        if self._relay is not None:
            self._relay.stop()
        self.parts.lifecycle.stopped.set()
        self.parts.live.stop()
        if self.traces is not None:
            self.traces.stop()
        self._database.dispose()

    def _clean(self) -> None:
        while True:
            try:
                self._janitor_pass()
            except Exception:
                _logger.exception("Cleaning up went wrong; tried again in an hour")
            if self.parts.lifecycle.stopped.wait(JANITOR_EVERY_S):
                return

    def _janitor_pass(self) -> None:
        removed = self.parts.library.collect_orphans()
        if removed:
            _logger.info("Removed %d files that a crash had left", removed)
        emptied = self.parts.library.empty_trash()
        if emptied:
            _logger.info("Removed %d pictures whose time in the trash was over", emptied)
        freed = self.parts.inputs.free_unused()
        if freed:
            _logger.info("Removed %d uploaded pictures that nothing names any more", freed)
        # After the files: what belongs to a forgotten job is no longer known to be rubbish.
        keep_days = self.parts.settings.keep_jobs_days
        forgotten = forget_finished(self._database, keep_days) if keep_days else 0
        if forgotten:
            _logger.info("Forgot %d jobs that ended more than %g days ago", forgotten, keep_days)


def build_service(settings: Settings, keys: KeyRing | None = None) -> Service:
    """Every part, wired by hand and not yet started. Raises AtelierError if the database cannot be used."""
    database = open_database(settings.resolved_database_url)
    check_whole(database)
    upgrade(database)
    catalog = Catalog(settings)
    remote = settings.engine is EngineKind.RAY
    engines = build_ray_engines(settings, catalog) if remote else build_engines(settings, catalog)
    forecast = Forecast()
    boot_id = str(uuid.uuid4())
    relay = Relay(Notices(database), boot_id) if database.dialect.name == "postgresql" else None
    live = LiveEvents(forecast, relay)

    def tell(topic: str, kind: str, data: Mapping[str, Any], *, seq: int | None = None) -> None:
        live.publish(topic, kind, data, seq=seq)
        if traces is not None:
            traces.heard(topic, kind)

    table = JobTable(
        database,
        boot_id=boot_id,
        max_queue=settings.max_queue,
        max_queue_of_caller=settings.max_queue_per_key,
        max_crashes=settings.max_crashes,
        devices=max(1, settings.ray_min) if remote else len(engines),
        on_event=tell,
        forecast=forecast,
    )
    traces = open_traces(settings, table.get)
    grids = GridTable(
        database,
        max_queue=settings.max_queue,
        max_queue_of_caller=settings.max_queue_per_key,
        on_event=tell,
    )
    thumbnails = settings.data_folder / "thumbnails"
    store = open_store(settings)
    library = Library(
        database,
        store,
        thumbnails,
        max_bytes=settings.library_max_bytes,
        trash_days=settings.trash_days,
    )
    inputs = InputStore(database, store, settings)
    looks = LookDesk(library, catalog, settings.find_model or None)
    sketches = SketchDesk(settings.sketch_s)
    dispatcher = Dispatcher(table, library, engines, live, catalog, settings, inputs, looks, sketches)
    downloads = Downloads(partial(tell_download, live), offline=settings.offline)
    parts = Parts(settings, catalog, table, grids, live, library, dispatcher, downloads, inputs, sketches, looks)
    return Service(parts, dispatcher, database, keys or KeyRing(ApiKeys()), relay, traces)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service until it is told to stop; the exit code."""
    options = _parser().parse_args(arguments)
    chosen = {name: value for name in ("host", "port") if (value := getattr(options, name)) is not None}
    private_data.from_now_on()
    try:
        settings = Settings(**chosen)
        if options.new_key is not None:
            return _tell_new_key(settings, options)
        configure_logs(settings.log_level)
        if options.rebuild_library:
            return _rebuild_library(settings)
        if options.backup or options.restore:
            return _back_up_or_restore(settings, options.backup, options.restore)
        keys = _checked_keys(settings)
        settings.data_folder.mkdir(parents=True, exist_ok=True)
        data_lock.check(settings)
        unpack_shipped(settings.models_folder)
        _check_default_model(settings)
        check_device(settings)
        check_cluster(settings)
        check_traces(settings)
        check_store(settings)
        addresses.check(settings.host, settings.port)
    except AtelierError as error:
        sys.stderr.write(f"The image service does not start. {error.message}\n{error.hint or ''}\n")
        return {data_lock.DataFolderTaken: EXIT_DATA_TAKEN, addresses.PortTaken: EXIT_PORT_TAKEN}.get(
            type(error), EXIT_REFUSED
        )

    def build(owner: int) -> Service:
        configure_logs(settings.log_level, settings.logs_folder / LOG_FILE)
        logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # a list of its own parts
        # Held by this process until it ends; a restarted worker waits for the one before it.
        lock = data_lock.DataLock(settings)
        lock.acquire(owner, RESTART_PATIENCE_S)
        private_data.tighten(settings.data_folder)
        service = build_service(settings, keys)
        service.data_lock = lock
        return service

    # Imported by name: gunicorn cannot even be imported on Windows.
    importlib.import_module(f"app.service.serving.{web_server(settings)}_server").serve(settings, build)
    return 0


def web_server(settings: Settings) -> WebServer:
    """gunicorn, or waitress where gunicorn does not run or the owner prefers it."""
    return settings.web_server or (WebServer.WAITRESS if sys.platform == "win32" else WebServer.GUNICORN)


class Refused(AtelierError):
    """The settings do not allow this."""

    code = "refused"


def _check_default_model(settings: Settings) -> None:
    entries = {entry.key: entry for entry in Catalog(settings).entries()}
    drawing = [key for key, entry in entries.items() if ModelKind.DRAWS in kinds_of(entry)]
    if entries and settings.default_model not in drawing:
        named = entries.get(settings.default_model)
        why = f" ({named.key} draws nothing from words: it {' and '.join(kinds_of(named))})" if named else ""
        raise wrong_setting(settings, "default_model", f"allowed is one of: {', '.join(drawing)}{why}")


def _checked_keys(settings: Settings) -> KeyRing:
    keys = ring_of(settings)
    if settings.binds_beyond_loopback and not keys.needed:
        raise Refused(
            f"It would listen on {settings.host}, where other machines can reach it, without API keys.",
            hint=f"Make one with `python {sys.argv[0]} --new-key admin` (its hash goes to {keys_file(settings)}), "
            "or listen on 127.0.0.1.",
        )
    return keys


def _tell_new_key(settings: Settings, options: argparse.Namespace) -> int:
    scope = Scope(options.new_key)
    key = new_key(settings, scope, name=options.name or "", expires=options.expires)
    sys.stderr.write(
        f"A key with the scope `{scope}`. It is shown this once; its hash is in {keys_file(settings)}.\n"
        "A service with keys accepts it within a second; one that had none answers only to callers with a key from\n"
        "its next start on. Clients of this machine find theirs in ATELIER_API_KEY.\n"
    )
    sys.stdout.write(f"{key}\n")
    return 0


def _rebuild_library(settings: Settings) -> int:
    settings.data_folder.mkdir(parents=True, exist_ok=True)
    database = open_database(settings.resolved_database_url)
    upgrade(database)
    library = Library(database, open_store(settings), settings.data_folder / "thumbnails")
    report = library.rebuild(lambda done, of: sys.stderr.write(f"{done} of {of} picture files\n"))
    database.dispose()
    sys.stdout.write(
        f"{report.files} picture files: {report.restored} restored, {report.kept} were known, "
        f"{report.doubled} were second copies, {len(report.unreadable)} could not be read.\n"
    )
    return 0


def _back_up_or_restore(settings: Settings, target: Path | None, source: Path | None) -> int:
    try:
        said = backups.back_up(settings, target) if target else ""
        said += backups.restore(settings, source, newest_version()) if source else ""
    except AtelierError as error:
        sys.stderr.write(f"{error.message}\n{error.hint or ''}\n")
        return EXIT_REFUSED
    sys.stdout.write(f"{said}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The image service of Atelier. More settings: docs/settings.md.")
    parser.add_argument("--host", help="address to listen on (ATELIER_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (ATELIER_PORT, 5001)")
    parser.add_argument(
        "--new-key",
        metavar="SCOPE",
        nargs="?",
        const=Scope.GENERATE.value,
        choices=[scope.value for scope in Scope],
        help="print a new API key (read, generate or admin; generate if absent), store its hash, and end",
    )
    parser.add_argument("--name", help="with --new-key: whose key it is; keys of one name count as one caller")
    parser.add_argument(
        "--expires", metavar="YYYY-MM-DD", type=date.fromisoformat, help="with --new-key: its last day (UTC)"
    )
    parser.add_argument(
        "--rebuild-library", action="store_true", help="give every picture file its entry in the library back, and end"
    )
    parser.add_argument("--backup", metavar="FILE", type=Path, help="copy the job table to FILE, and end")
    parser.add_argument("--restore", metavar="FILE", type=Path, help="put such a copy in its place, and end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
