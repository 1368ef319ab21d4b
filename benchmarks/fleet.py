"""A fleet in simulation: `python -m benchmarks.fleet [--tiny] [--only WORD]`. The real dispatcher, table and relay.

Services are processes, engines wait as long as a picture would take, and saving writes rows but no files: what is
measured is the queue. All of it, PostgreSQL too, shares this machine's processors, whose load stands beside. `of ideal`
is the share of the engines' time that went into pictures: 1.00 = N engines give N times the pictures of one.
"""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks.fleet_run import CONNECTIONS, Measured, Scenario, run
from tests.jobs.postgres import own_server

COLUMNS = ("load", "workers", "services", "models", "of ideal", "jobs/s", "wait P50, P99 (s)", "swaps", "deaths",
           "lost, doubled", "ms of a processor a job: services, database", "load of the machine")  # fmt: skip


SCENARIOS = (
    Scenario("backlog", 1),
    Scenario("backlog", 10, 2),
    Scenario("backlog", 100, 4),
    Scenario("80 %, Poisson", 100, 4, load="poisson"),
    Scenario("80 %, bursts of N", 100, 4, load="burst"),
    Scenario("no time for a picture: the table alone", 32, 4, picture_s=0, load_s=0),
    Scenario("backlog", 1000, 4),
    Scenario("2 % of jobs kill their engine, one of 4 services killed", 100, 4, load="all", jobs=500,
             deaths_per_1000=20, kill_a_service=True),
    Scenario("backlog", 100, sqlite=True),
    Scenario("no time for a picture: the table alone", 8, sqlite=True, picture_s=0, load_s=0),
    Scenario("backlog", 10, 2, models=5, load_s=8.0, warm_s=12),
    Scenario("backlog", 10, 2, models=50, load_s=8.0, warm_s=12),
    Scenario("backlog", 100, 4, models=50, load_s=8.0, warm_s=12),
    Scenario("80 %, Poisson", 10, 2, load="poisson"),
)  # fmt: skip
TINY = (
    Scenario("backlog", 2, sqlite=True, picture_s=0.1, load_s=0, warm_s=0.2, window_s=1.0),
    Scenario("80 %, Poisson", 2, sqlite=True, load="poisson", picture_s=0.1, load_s=0, warm_s=0.2, window_s=0.5),
    Scenario("deaths", 3, sqlite=True, load="all", picture_s=0.02, load_s=0, jobs=20, models=3, deaths_per_1000=400),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="a few seconds on SQLite: that it works")
    parser.add_argument("--only", default="", help="scenarios whose line has this word")
    options = parser.parse_args(arguments)
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    bad = 0
    with ExitStack() as stack:
        chosen = [each for each in (TINY if options.tiny else SCENARIOS) if options.only in f"{each}"]
        server = None
        if not all(each.sqlite for each in chosen):
            server = stack.enter_context(own_server(connections=CONNECTIONS)).url
        for number, scenario in enumerate(chosen):
            measured = run(scenario, server, number)
            bad += measured.lost + measured.doubled
            print(_line(scenario, measured), flush=True)
    return 1 if bad else 0


def _line(scenario: Scenario, found: Measured) -> str:
    where = "SQLite" if scenario.sqlite else "PostgreSQL"
    waits = sorted(found.waits)
    wait = f"{_part(waits, 0.5):.2f}, {_part(waits, 0.99):.2f}" if waits else "–"
    ended = f"{found.lost}, {found.doubled}" if scenario.load == "all" else "–"
    ideal = f"{found.ideal:.3f}" if scenario.picture_s else "–"
    used = f"{found.service_ms:.1f}, {found.database_ms:.1f}" if found.service_ms else "–"
    load = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()}"
    what = [f"{where}: {scenario.what}", scenario.workers, scenario.services, scenario.models, ideal]
    what += [f"{found.jobs_per_s:.1f}", wait, found.swaps, found.deaths, ended, used, load]
    return "| " + " | ".join(str(each) for each in what) + " |"


def _part(waits: Sequence[float], share: float) -> float:
    return waits[min(len(waits) - 1, math.ceil(share * len(waits)) - 1)]


if __name__ == "__main__":
    sys.exit(main())
