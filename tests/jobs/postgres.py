"""A real PostgreSQL for the tests: the one of ATELIER_TEST_POSTGRES_URL, or one started from Debian's package."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy

URL_VARIABLE = "ATELIER_TEST_POSTGRES_URL"
START_TIMEOUT_S = 60


class OwnServer:
    """A PostgreSQL of a test's own, which it may stop and start again."""

    def __init__(self, programs: Path, folder: Path, connections: int) -> None:
        self._connections = connections
        self._programs = programs
        self._folder = folder
        self._port = _free_port()
        self._as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as_user:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "atelier", "--no-sync")

    @property
    def url(self) -> str:
        """The URL of its database `postgres`."""
        return f"postgresql+psycopg://atelier@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it, or start it again with all that was committed."""
        options = (
            f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1 -c max_connections={self._connections}"
        )
        self._pg_ctl("-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is a crash: connections break in the middle of what they do."""
        self._pg_ctl("-m", mode, "stop")

    def restart(self) -> None:
        """Crash it and start it again."""
        self.stop()
        self.start()

    def _pg_ctl(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._programs / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=START_TIMEOUT_S, cwd=self._folder)


@contextmanager
def own_server(connections: int = 90) -> Iterator[OwnServer]:
    """A server that runs until the end of the block; skips the test where Debian's package is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL: Debian's postgresql is not installed")
    folder = Path(tempfile.mkdtemp(prefix="atelier-pg-"))
    try:
        server = OwnServer(found[-1].parent, folder, connections)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def a_server() -> Iterator[str]:
    """The URL of a PostgreSQL server whose databases may be created and dropped; skips the test if there is none."""
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield given
        return
    with own_server() as server:
        yield server.url


@contextmanager
def an_empty_database(server_url: str, name: str) -> Iterator[str]:
    """The URL of a new database on that server, dropped at the end."""
    server = sqlalchemy.create_engine(server_url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    try:
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield server.url.set(database=name).render_as_string(hide_password=False)
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        server.dispose()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
