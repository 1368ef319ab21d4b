"""The simulation of a fleet, as small as it goes: that it counts what happens, not how fast it is."""

from benchmarks.fleet import TINY
from benchmarks.fleet_run import run


def test_in_a_simulated_fleet_engines_die_and_no_job_is_lost_or_doubled() -> None:
    backlog, arriving, dying = (run(scenario, None) for scenario in TINY)
    assert 0 < backlog.ideal <= 1.01
    assert (backlog.swaps in (1, 2), backlog.deaths) == (True, 0)  # one load for each engine
    assert all(wait >= 0 for wait in arriving.waits)
    assert (dying.lost, dying.doubled) == (0, 0)
    assert dying.deaths > 0
    assert dying.swaps >= dying.deaths
