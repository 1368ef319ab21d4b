"""A copy of the project in which one file at a time is changed and tests are run."""

import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest

from benchmarks.mutants.reach import Reach, Recorder

ROOT = Path(__file__).resolve().parents[2]
# Loaded once before the tests' processes are forked: each run would load them again.
_HEAVY = ("sqlalchemy", "alembic", "flask", "flask_openapi3", "pydantic", "structlog", "PIL.Image",
          "requests", "prometheus_client")  # fmt: skip
_OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--no-header", "-Wignore::pytest.PytestAssertRewriteWarning")


class Place:
    """A temporary copy of the tracked files. `models/` is a link to the real one, which tests only read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reach = folder / "mutant.reach"
        self.warm(_HEAVY)
        for plugin in entry_points(group="pytest11"):  # most of what a short run of pytest takes is to read these
            plugin.load()

    def __enter__(self) -> Self:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
        for name in listed.stdout.split("\0"):
            if name and not name.startswith("models/") and (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.folder / name)
        (self.folder / "models").symlink_to(ROOT / "models")
        (self.folder / ".venv").symlink_to(ROOT / ".venv")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end_strays()

    def warm(self, modules: Sequence[str]) -> None:
        """Import packages in this process: the tests' processes, which are its copies, have them at once."""
        for module in modules:
            __import__(module)

    def write(self, file: str, source: bytes) -> None:
        """Put `source` in place of a file; its compiled form goes, for a change in the same second is not seen."""
        path = self.folder / file
        path.write_bytes(source)
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()

    def run(self, tests: Sequence[str], timeout_s: float, watch: Sequence[str] = ()) -> tuple[str, str, float]:
        """`passed`, `failed` or `timeout`; what failed first; the seconds it took.

        `reach` tells afterwards which tests ran which lines of the files to `watch`.
        """
        output = self.folder / "mutant.out"
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            self._be_the_tests(tests, output, watch)
        status = None
        while status is None and time.monotonic() - began < timeout_s:
            time.sleep(0.05)
            done, code = os.waitpid(child, os.WNOHANG)
            status = os.waitstatus_to_exitcode(code) if done else None
        if status is None:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
        self._end_strays()
        seconds = time.monotonic() - began
        if status is None:
            return "timeout", "", seconds
        return ("passed", "", seconds) if status == 0 else ("failed", _first_failure(output), seconds)

    def reach(self) -> Reach:
        """What the last run saw of the files that it watched."""
        return Reach.load(self._reach)

    def _be_the_tests(self, tests: Sequence[str], output: Path, watch: Sequence[str]) -> None:
        """In the forked process: become a run of pytest in the copy. Never returns."""
        code = 99
        recorder = Recorder(self.folder, watch) if watch else None
        try:
            os.setsid()
            stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(stream, 1)
            os.dup2(stream, 2)
            os.chdir(self.folder)
            sys.path[0] = str(self.folder)
            for name in [name for name in sys.modules if name.partition(".")[0] in ("app", "tests", "benchmarks")]:
                del sys.modules[name]
            os.environ["PYTHONPATH"] = str(self.folder)
            code = pytest.main([*_OPTIONS, *tests], plugins=[recorder] if recorder else [])
            if recorder:
                recorder.save(self._reach)
            sys.stdout.flush()
        finally:
            if sys.exc_info()[0]:
                traceback.print_exc()
            os._exit(int(code))

    def _end_strays(self) -> None:
        """End what tests of a broken program left running: whatever works in the copy."""
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and Path(process.cwd()).is_relative_to(self.folder):
                    process.kill()
            except psutil.Error:
                continue


def _first_failure(output: Path) -> str:
    lines = output.read_text("utf-8", "replace").splitlines()
    for line in lines:
        if line.startswith(("FAILED tests/", "ERROR tests/")):
            return line.split(" - ")[0].split(" ", 1)[1]
    return f"the tests could not start: {' / '.join(lines[-3:])[-300:]}"
