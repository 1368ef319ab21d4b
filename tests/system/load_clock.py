"""A clock that stands still while the machine is busy with others: how long something takes, whatever else runs."""

import subprocess
import sys
from types import TracebackType
from typing import Self

import psutil


class LoadClock:
    """Counts the processor time that a process gets which could use a whole core all the time.

    On an idle machine that is the time of a wall clock; with ten others after one core it is a tenth. What is measured
    by it competes for the same cores. Use as a context manager.
    """

    def __enter__(self) -> Self:
        self._spinning = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
        self._process = psutil.Process(self._spinning.pid)
        self._began = self._now()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._spinning.kill()
        self._spinning.wait()

    @property
    def seconds(self) -> float:
        """Since the block began."""
        return self._now() - self._began

    def _now(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)
