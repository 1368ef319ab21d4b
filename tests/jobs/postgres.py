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


@contextmanager
def a_server() -> Iterator[str]:
    """The URL of a PostgreSQL server whose databases may be created and dropped; skips the test if there is none."""
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield given
        return
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip(f"no PostgreSQL: {URL_VARIABLE} is not set and Debian's postgresql is not installed")
    bin_folder = programs[-1].parent
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="atelier-pg-"))
    try:
        if as_user:
            shutil.chown(folder, "postgres")
        data, port = folder / "data", _free_port()
        initdb = [*as_user, str(bin_folder / "initdb"), "-D", str(data), "-A", "trust", "-U", "atelier", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, timeout=START_TIMEOUT_S, cwd=folder)
        pg_ctl = [*as_user, str(bin_folder / "pg_ctl"), "-D", str(data), "-w"]
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=60"
        start = [*pg_ctl, "-l", str(folder / "log"), "-o", options, "start"]
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL, timeout=START_TIMEOUT_S, cwd=folder)
        try:
            yield f"postgresql+psycopg://atelier@127.0.0.1:{port}/postgres"
        finally:
            stop = [*pg_ctl, "-m", "immediate", "stop"]
            subprocess.run(stop, check=True, stdout=subprocess.DEVNULL, timeout=START_TIMEOUT_S, cwd=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def an_empty_database(server_url: str, name: str) -> Iterator[str]:
    """The URL of a new database on that server, dropped at the end."""
    server = sqlalchemy.create_engine(server_url, isolation_level="AUTOCOMMIT")
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
