"""How long a child may say nothing, on a clock that the test turns."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.engine import messages, watched_clock
from app.engine.run import FROZEN_LEAST_S, Silence


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watched_clock, "time", clock)
    return clock


@pytest.fixture
def silence(clock: Clock, tmp_path: Path) -> Silence:
    """30 s while denoising, 900 s while loading."""
    return Silence(Settings(denoise_timeout_s=30, load_timeout_s=900, models_folder=tmp_path))


@pytest.fixture
def wait(clock: Clock, silence: Silence) -> Callable[..., bool]:
    """Let seconds pass while somebody looks (or nobody), with or without a status a second; True if it is hung."""

    def pass_by(seconds: float, *, status: bool = False, looked_at: bool = True) -> bool:
        if not looked_at:
            clock.at += seconds
            return silence.too_long_s is not None
        for _ in range(round(seconds * 2)):
            clock.at += 0.5
            if status:
                silence.heard(messages.Status)
            if silence.too_long_s is not None:
                return True
        return False

    return pass_by


def test_a_call_must_be_taken_within_the_denoising_limit(wait: Callable[..., bool]) -> None:
    assert not wait(29)
    assert wait(2)


def test_loading_may_be_silent_for_long_while_the_process_runs(silence: Silence, wait: Callable[..., bool]) -> None:
    silence.heard(messages.Taken)
    assert not wait(890, status=True)
    assert wait(20, status=True)


def test_a_process_that_tells_not_even_its_status_is_frozen(silence: Silence, wait: Callable[..., bool]) -> None:
    silence.heard(messages.Taken)
    assert not wait(4 * 30 - 1)
    assert wait(2)
    assert silence.too_long_s == 4 * 30 > FROZEN_LEAST_S


def test_a_status_is_no_progress_while_denoising(silence: Silence, wait: Callable[..., bool]) -> None:
    silence.heard(messages.Taken)
    silence.heard(messages.Alive)
    assert not wait(29, status=True)
    assert wait(2, status=True)


def test_steps_that_all_take_long_are_no_hang(silence: Silence, wait: Callable[..., bool]) -> None:
    silence.heard(messages.Taken)
    silence.heard(messages.StepDone)
    assert not wait(25)
    silence.heard(messages.StepDone)
    assert not wait(115)  # ten steps of 25 s may be silent, but a frozen process is found before
    silence.heard(messages.StepDone)
    assert not wait(119, status=True)
    assert not wait(119, status=True)
    assert wait(500, status=True)


def test_loading_after_a_step_is_judged_as_loading(silence: Silence, wait: Callable[..., bool]) -> None:
    silence.heard(messages.StepDone)
    silence.heard(messages.Loading)
    assert not wait(800, status=True)
    silence.heard(messages.StepDone)
    assert silence.limit_s == 30  # no step was measured across the load


def test_time_in_which_nobody_looked_is_not_silence(silence: Silence, wait: Callable[..., bool]) -> None:
    silence.heard(messages.Taken)
    silence.heard(messages.Alive)
    for _ in range(20):
        assert not wait(3600, looked_at=False)
    assert wait(15)  # each pause counted as one second
