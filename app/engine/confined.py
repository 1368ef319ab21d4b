"""`python -m app.engine.confined MODULE WALLS OPTIONS FD`: raises the walls, then is the child MODULE.

In a process of its own start, because walls hold for the thread that raises them and what it starts: torch's threads
must come later.
"""

import json
import runpy
import sys

from app.confine import Walls, raise_walls


def main(module: str, walls: str) -> None:
    """Never returns."""
    raise_walls(Walls(**json.loads(walls)))
    sys.argv[1:3] = []
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
