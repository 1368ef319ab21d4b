"""One contender in a process of its own: `python -m benchmarks.contenders NAME FOLDER WORK SIZE STEPS`.

It warms up and writes `ready`. Then it draws a picture for each line that it reads, and writes the seconds it took.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders.names import IN_PROCESS, SERVERS, SERVICE, SERVICE_TORCH
from benchmarks.contenders.ours import in_process, over_http
from benchmarks.contenders.plain import plain
from benchmarks.contenders.servers import server
from benchmarks.figures import seconds


@contextmanager
def contender(name: str, folder: Path, work: Path, size: int, steps: int) -> Iterator[Callable[[], object]]:
    """Draws one picture, while it runs."""
    if name in SERVERS:
        with server(name, folder, work, size, steps) as draw:
            yield draw
    elif name == IN_PROCESS:
        yield in_process(folder, work, size, steps)
    elif name in (SERVICE, SERVICE_TORCH):
        with over_http(name, folder, work, size, steps) as draw:
            yield draw
    else:
        yield plain(name, folder, work, size, steps)


def main(name: str, folder: str, work: str, size: str, steps: str) -> None:
    """See the module."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    with contender(name, Path(folder), Path(work), int(size), int(steps)) as draw:
        draw()
        print("ready", file=answers, flush=True)
        for _ in sys.stdin:
            print(json.dumps(seconds(draw)), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
