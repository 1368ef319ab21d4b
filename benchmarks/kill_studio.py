"""Every part of a whole studio killed again and again: `python -m benchmarks.kill_studio [--times 3] [--postgres]`.

What quick_start.sh keeps up (service, page, drop folder) with the fast test engine; the engine's child, the process
with HTTP, the main one, the page, the watcher, and all at once are killed while jobs of two doors are under way. With
`--postgres` there are two studios on one database, the clock of one 45 s early and of the other 45 s late. Each must be
back within 5 s of a machine that is not shared, and every accepted job must be made once. Status 1 if not.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.jobs.postgres import a_server, an_empty_database
from tests.place import a_place
from tests.system.history import check_history
from tests.system.pair import CLOCKS_S, LEASE_S
from tests.system.skewed import skewed
from tests.system.studio import Studio, a_studio, kill_every_way

BACK_S = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and print how long each kind of kill took to be mended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=3, help="kills of each kind")
    parser.add_argument("--seed", type=int, default=1, help="of their order")
    parser.add_argument("--postgres", action="store_true", help="two studios on a PostgreSQL of its own")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended too
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        studios = _on_postgres(stack, folder) if options.postgres else [_studio(stack, folder / "studio")]
        kills = kill_every_way(studios, options.times, seed=options.seed)
        states = check_history(studios[0].database_url, kills.promises)
    for way, times in kills.back_s.items():
        print(f"{way:8} back after {', '.join(f'{each:.2f}' for each in times)} s")
    print(f"{dict(states)}; lost 0, doubled 0, {len(kills.answers)} prompt files answered")
    return int(max(max(times) for times in kills.back_s.values()) > BACK_S)


def _studio(stack: ExitStack, folder: Path, **settings: str) -> Studio:
    return stack.enter_context(a_studio(stack.enter_context(a_place(folder)), **settings))


def _on_postgres(stack: ExitStack, folder: Path) -> list[Studio]:
    server = stack.enter_context(a_server())
    shared = {
        "ATELIER_DATABASE_URL": stack.enter_context(an_empty_database(server, "kill_studio")),
        "ATELIER_OUTPUT_FOLDER": str(folder / "output"),
        "ATELIER_LEASE_S": str(LEASE_S),
    }
    return [
        _studio(stack, folder / f"studio{number}", **shared, **skewed(clock_s))
        for number, clock_s in enumerate(CLOCKS_S)
    ]


if __name__ == "__main__":
    sys.exit(main())
