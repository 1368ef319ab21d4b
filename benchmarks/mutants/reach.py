"""Which tests run which lines: a change of a line is noticed by these or by none, and they are few."""

import json
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

DASH = "-"


class Recorder:
    """A plugin of pytest: what was run of some files during each test, and how long each test took.

    What a fixture runs before a test is of the whole file of tests: the others use what it has made.
    """

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self._files = {str(folder / file): file for file in files}
        self._running = ""
        self._lines: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_sessionstart(self) -> None:
        """Watch from now on, in every thread."""
        threading.settrace(self._of_call)
        sys.settrace(self._of_call)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Fixtures."""
        self._running = item.nodeid.partition("::")[0]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """The test itself."""
        self._running = item.nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """How long it took, with its fixtures."""
        self._seconds[report.nodeid] += report.duration

    def save(self, file: Path) -> None:
        """As `Reach.load` reads it."""
        sys.settrace(None)
        lines = [[*place, sorted(tests)] for place, tests in self._lines.copy().items()]
        file.write_text(json.dumps({"lines": lines, "seconds": self._seconds}), "utf-8")

    def _of_call(self, frame: FrameType, _event: str, _: Any) -> Any:
        return self._of_line if frame.f_code.co_filename in self._files else None

    def _of_line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and self._running:
            self._lines[self._files[frame.f_code.co_filename], frame.f_lineno].add(self._running)
        return self._of_line


class Reach:
    """What a `Recorder` saw."""

    def __init__(self, lines: Mapping[tuple[str, int], Sequence[str]], seconds: Mapping[str, float]) -> None:
        self._lines, self._seconds = lines, seconds

    @classmethod
    def load(cls, file: Path) -> "Reach":
        """From what was saved."""
        read = json.loads(file.read_text("utf-8"))
        return cls({(name, line): tests for name, line, tests in read["lines"]}, read["seconds"])

    def choose(self, tests: Sequence[str], file: str, line: int) -> tuple[list[str], float]:
        """Those of the tests that run this line, the quickest first, and the seconds that they take undisturbed.

        All of them where none was seen to run it: it is run by another process, or when the file is read.
        """
        found = self._lines.get((file, line), ())
        nodes = sorted(
            {node for place in found for node in self._of_place(place)}, key=lambda node: self._seconds[node]
        )
        if not nodes:
            return list(tests), sum(self._seconds.values())
        return [*nodes, *(test for test in tests if test.startswith(DASH))], sum(self._seconds[node] for node in nodes)

    def _of_place(self, place: str) -> Iterator[str]:
        """A test, or all of a file of tests."""
        yield from (node for node in self._seconds if node == place or node.startswith(f"{place}::"))
