"""A running service whose processes can be killed one by one, or all at once."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from app.client import ImageServiceClient
from app.core.errors import ServiceError
from tests.running import RunningService

START_S = 300.0
GONE_S = 10.0
ENGINE_MODULES = ("app.engine.makers.testing", "app.engine.makers.pipelines")


def wait_until(what: str, condition: Callable[[], bool], timeout_s: float, pause_s: float = 0.02) -> None:
    """Ask until it is true. Raises TimeoutError that names `what`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(pause_s)


class Victim(RunningService):
    """The real service: an arbiter process, the worker that answers HTTP, and the child that makes pictures."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, **settings)
        self.client = ImageServiceClient(self.url)
        self.output_folder = folder / "output"
        self.database_url = settings.get("DATABASE_URL") or f"sqlite:///{folder / 'data' / 'atelier.db'}"

    def __exit__(self, *_: object) -> None:
        self.kill_all()
        self.client.close()

    def kill_engine(self) -> bool:
        """`kill -9` of the process that makes pictures. False if there is none at the moment."""
        killed = [_kill(process) for process in self._descendants() if _is_engine(process)]
        return any(killed)

    def kill_worker(self) -> None:
        """`kill -9` of the process that answers HTTP; the arbiter starts another. Returns when it takes work."""
        killed = self.servers()
        for process in killed:
            _kill(process)
        _wait_gone(killed)
        wait_until("the service is ready", self._answers_ready, START_S)

    def kill_arbiter(self) -> None:
        """`kill -9` of the main process alone. Returns when all the others have ended too, by themselves."""
        others = self._descendants()
        self.kill()
        _wait_gone(others)

    def kill_all(self) -> None:
        """`kill -9` of every process of the service at once. Idempotent."""
        others = self._descendants()
        self.kill()
        for process in others:
            _kill(process)
        _wait_gone(others)

    def _answers_ready(self) -> bool:
        try:
            return self.client.ready()
        except ServiceError:
            return False

    def servers(self) -> list[psutil.Process]:
        """The processes that answer HTTP."""
        return [process for process in self._descendants() if not _is_engine(process)]

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self._process.pid).children(recursive=True) if self._process else []
        except psutil.NoSuchProcess:
            return []


def _wait_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=GONE_S)
    # Where process 1 does not reap its adopted children, an ended one stays in the list as a zombie.
    still = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not still, f"processes that outlive the service: {still}"


def _is_engine(process: psutil.Process) -> bool:
    try:
        return any(module in process.cmdline() for module in ENGINE_MODULES)
    except psutil.Error:
        return False


def _kill(process: psutil.Process) -> bool:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True
