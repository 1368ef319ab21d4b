"""What the studio's processes hold, every few seconds: a CSV file, and whether it stays flat."""

import csv
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

GROUPS = ("service", "engine", "page", "watcher")
HELD = ("rss_mib", "files", "threads")
FIELDS = ("seconds", "phase", "jobs", *(f"{group}_{what}" for group in GROUPS for what in HELD), "leftovers")
# Python's memory moves by some MiB without any leak; descriptors come and go with the calls of the moment.
ROOM = {"rss_mib": 24.0, "files": 24.0, "threads": 8.0, "leftovers": 12.0}


@dataclass(frozen=True)
class Watched:
    """How to find the processes of each group now, and what is left in folders that should not grow."""

    processes: Callable[[], Mapping[str, list[psutil.Process]]]
    leftovers: Callable[[], int]
    jobs: Callable[[], int]


class Sampler:
    """Writes a line every `every_s` until stopped. `phase` is set by whoever breaks things."""

    def __init__(self, watched: Watched, file: Path, every_s: float) -> None:
        self.phase = "start"
        self.rows: list[dict[str, float | str]] = []
        self._watched, self._file, self._every_s = watched, file, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")

    def start(self) -> None:
        """Begin; the clock of the curve begins with it."""
        self._thread.start()

    def stop(self) -> None:
        """End, with the file complete."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        with self._file.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, FIELDS)
            writer.writeheader()
            while True:
                row = self._row(time.monotonic() - began)
                self.rows.append(row)
                writer.writerow(row)
                stream.flush()
                if self._stop.wait(self._every_s):
                    return

    def _row(self, seconds: float) -> dict[str, float | str]:
        row: dict[str, float | str] = {"seconds": round(seconds, 1), "phase": self.phase, "jobs": self._watched.jobs()}
        found = self._watched.processes()
        for group in GROUPS:
            held = [_held(process) for process in found.get(group, [])]
            for place, what in enumerate(HELD):
                row[f"{group}_{what}"] = round(sum(values[place] for values in held), 1)
        row["leftovers"] = self._watched.leftovers()
        return row


def _held(process: psutil.Process) -> tuple[float, int, int]:
    try:
        with process.oneshot():
            return process.memory_info().rss / 2**20, process.num_fds(), process.num_threads()
    except psutil.Error:
        return 0.0, 0, 0


@dataclass(frozen=True)
class Drift:
    """One column while nothing is killed: its middle value at the beginning and at the end."""

    column: str
    first: float
    last: float
    room: float

    @property
    def flat(self) -> bool:
        """True if it grew by no more than its room and a tenth."""
        return self.last - self.first <= self.room + 0.1 * self.first


def drifts(rows: list[dict[str, float | str]], phase: str) -> list[Drift]:
    """Each column over the rows of `phase`: the middle of its first quarter against that of its last."""
    quiet = [row for row in rows if row["phase"] == phase]
    quarter = max(1, len(quiet) // 4)
    found = []
    for column in FIELDS[3:]:
        values = [float(row[column]) for row in quiet]
        if values:
            first, last = statistics.median(values[:quarter]), statistics.median(values[-quarter:])
            found.append(Drift(column, first, last, ROOM[column.partition("_")[2] or column]))
    return found
