"""A clock that goes slower while the machine is busy with others: how long something takes, whatever else runs."""

import os
import struct
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

# Writes how many slices of work it has done and how long the fastest took: others slow a slice down, never up. A slice
# is a third of a millisecond; whoever shares the core, its caches or its power makes some of them longer, not all.
SPIN = """
import os, struct, time
fastest, done = 1.0, 0
while True:
    before = time.perf_counter()
    for _ in range(10_000):
        pass
    fastest, done = min(fastest, time.perf_counter() - before), done + 1
    os.pwrite(0, struct.pack("dq", fastest, done), 0)
"""
NOTE = struct.calcsize("dq")
SETTLE_SLICES = 300  # before the time counts: so many show how fast a slice can be


class LoadClock:
    """Counts the work that a process gets done which could use a whole core all the time, in the seconds that an idle
    machine would take for it.

    On an idle machine that is the time of a wall clock; with ten others after one core it is a tenth. What is measured
    by it competes for the same cores. Use as a context manager; entering takes a tenth of a second or more.
    """

    def __enter__(self) -> Self:
        self._note = os.memfd_create("load clock")
        os.truncate(self._note, NOTE)
        self._spinning = subprocess.Popen([sys.executable, "-S", "-c", SPIN], stdin=self._note)
        while self._read()[1] < SETTLE_SLICES:
            assert self._spinning.poll() is None, "the clock's process ended"
            time.sleep(0.01)
        self._began = self._read()[1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._spinning.kill()
        self._spinning.wait()
        os.close(self._note)

    @property
    def seconds(self) -> float:
        """Since the block began."""
        fastest, done = self._read()
        return fastest * (done - self._began)

    def _read(self) -> tuple[float, int]:
        fastest, done = struct.unpack("dq", os.pread(self._note, NOTE, 0))
        return float(fastest), int(done)
