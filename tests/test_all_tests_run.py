"""Where all tests must run, a skipped one is a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ALL_TESTS

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("reason", "all_tests", "status"),
    [("curl is not installed", "1", 1), ("curl is not installed", "", 0), ("needs a CUDA device", "1", 0)],
)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_skip_that_is_not_expected_fails_the_run(
    tmp_path: Path, reason: str, all_tests: str, status: int, workers: str
) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_some.py").write_text(
        f"import pytest\ndef test_one(): pass\n@pytest.mark.skip(reason={reason!r})\ndef test_two(): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-p", "no:cacheprovider", "-n", workers, "."]
    environment = {**os.environ, ALL_TESTS: all_tests, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == status, done.stdout + done.stderr
    assert (f"SKIPPED, and {ALL_TESTS} is set" in done.stdout) == bool(status)
