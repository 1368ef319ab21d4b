"""A short soak: every door, a browser and a drop folder at once, while everything is killed; the history is checked."""

from pathlib import Path

import pytest

from benchmarks.soak.run import soak
from benchmarks.soak.samples import FIELDS, drifts


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_minute_of_everything_at_once_loses_nothing(tmp_path: Path) -> None:
    outcome = soak(tmp_path, minutes=0.3, seed=1, csv=tmp_path / "soak.csv", pause_s=0.5, rounds=1)
    assert outcome.wrong == []
    assert set(outcome.broken) >= {"engine", "worker", "arbiter", "everything", "page", "watcher"}
    assert outcome.states["succeeded"] > 0
    assert len((tmp_path / "soak.csv").read_text().splitlines()) > 3


def test_what_grows_while_nothing_is_broken_is_seen() -> None:
    def row(phase: str, files: float) -> dict[str, float | str]:
        return dict.fromkeys(FIELDS, 10.0) | {"phase": phase, "service_files": files}

    rows = [row("broken", 500.0), *(row("quiet", 30.0 + number) for number in range(100))]
    grown = {drift.column: drift for drift in drifts(rows, "quiet") if not drift.flat}
    assert list(grown) == ["service_files"]
    assert grown["service_files"].first < 50 < grown["service_files"].last
