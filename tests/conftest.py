"""For all tests: Ctrl-C reaches the programs that they start, and no test is skipped where all must run."""

import os
import re
import signal

import pytest

# Whoever starts the tests in the background (nohup, a runner of a continuous integration) lets them ignore Ctrl-C,
# every program that a test starts inherits that, and bash can never undo it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# As `app.diffusion` has it, which some tests import after torch: threads sleep while they wait for each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ALL_TESTS = "ATELIER_ALL_TESTS"  # set where every test must run, as in .ci/run
# What may be skipped even there: what only a graphics card can show.
EXPECTED_SKIPS = (r"needs a CUDA device",)
_unexpected: list[str] = []


def is_expected_skip(reason: str) -> bool:
    """True for a skip that no machine without a graphics card can avoid."""
    return any(re.search(pattern, reason) for pattern in EXPECTED_SKIPS)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note(report)


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not is_expected_skip(reason):
            _unexpected.append(f"{report.nodeid}: {reason}")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where all tests must run, a skip that is not expected fails the run."""
    is_worker = hasattr(session.config, "workerinput")
    if os.environ.get(ALL_TESTS) and _unexpected and not is_worker and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get(ALL_TESTS):
        for line in _unexpected:
            terminalreporter.write_line(f"SKIPPED, and {ALL_TESTS} is set: {line}", red=True)
