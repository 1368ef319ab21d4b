"""Machines of a Ray cluster, played by processes of this one: started, killed, and never left behind."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from app.core.settings import PROJECT_FOLDER

START_S = 60.0
STORE_BYTES = 80 * 2**20  # the least that Ray takes is 75 MiB
# Ray would have its workers give way to all else, and end them when memory is short, which our own child says itself.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_memory_monitor_refresh_ms": "0", "RAY_worker_niceness": "0"}


def with_token(token: str | None = None) -> dict[str, str]:
    """What every process that speaks with a cluster needs in its environment."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token or secrets.token_hex(32)}


class Node:
    """One machine: `ray start --block`, and all that it starts. `prefix`: a command that runs it elsewhere."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *,
        head: str | None = None,
        port: int = 0,
        address: str = "127.0.0.1",
        cpus: int = 1,
        prefix: Sequence[str] = (),
    ) -> None:
        self.address = f"{address}:{port}" if head is None else head
        self.port = port
        first = ["--head", f"--port={port}"] if head is None else [f"--address={head}"]
        # Ray's sockets have names of at most 107 letters.
        self._stack = ExitStack()
        temporary = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="r", dir="/tmp")))
        own = [f"--temp-dir={temporary}", "--include-dashboard=false", "--disable-usage-stats"] if head is None else []
        self._log = (folder / f"node-{temporary.name}.log").open("wb")
        self._process = subprocess.Popen(
            [
                *prefix, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *first, *own,
                f"--node-ip-address={address}", f"--num-cpus={cpus}", "--num-gpus=0", "--include-log-monitor=false",
                f"--object-store-memory={STORE_BYTES}",
            ],
            cwd=PROJECT_FOLDER,
            env={**os.environ, **QUIET, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip

    def processes(self, word: str = "") -> list[psutil.Process]:
        """All that runs of it now, or what has `word` in its command line."""
        found = []
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if word in " ".join(process.cmdline()):
                        found.append(process)
        return found

    def wait(self) -> None:
        """Until its raylet runs."""
        deadline = time.monotonic() + START_S
        while not self.processes("raylet/raylet"):
            assert self._process.poll() is None, f"it ended; see {self._log.name}"
            assert time.monotonic() < deadline, f"it did not start; see {self._log.name}"
            time.sleep(0.1)

    def kill(self) -> None:
        """`kill -9` of all of it at once, as when its plug is pulled. Idempotent."""
        victims = self.processes()
        self._process.kill()
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGKILL)
        self._process.wait(10)
        psutil.wait_procs(victims, timeout=10)
        self._log.close()
        self._stack.close()


@contextmanager
def a_cluster(folder: Path, environment: Mapping[str, str], *, cpus: int = 1) -> Iterator[Node]:
    """A head that is all of a cluster, on loopback as far as Ray keeps to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node = Node(folder, environment, port=port, cpus=cpus)
    try:
        node.wait()
        yield node
    finally:
        node.kill()
