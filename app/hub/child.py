"""The process that downloads one model: `python -m app.hub.child MODEL-AS-JSON`. Tells what happens as lines of JSON.

It ends with its parent (end of standard input), and what has arrived by then stays on the disk. A process of its own,
because a blocked read cannot be cancelled in a thread, and because the service then needs no HTTP library of the hub.
"""

import json
import os
import sys
import threading
from dataclasses import dataclass

from app.core.errors import AtelierError, DownloadFailed
from app.hub.fetch import fetch


@dataclass(frozen=True)
class Wanted:
    """The hub's part of a catalog entry."""

    repository: str
    revision: str | None = None
    variant: str | None = None
    transformer: str | None = None
    single: bool = False
    size_bytes: int = 0


def main(arguments: list[str]) -> int:
    """Download; 0 = the last line is `done`, 1 = it is an error."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        fetch(Wanted(**json.loads(arguments[0])), lambda done, of: _say(kind="progress", done=done, of=of))
    except AtelierError as error:
        _say(kind="error", **error.as_dict())
        return 1
    except Exception as error:  # noqa: BLE001  the outer rim: whatever it is, the parent must hear of it
        _say(kind="error", **DownloadFailed(f"The download failed ({type(error).__name__}: {error}).").as_dict())
        return 1
    _say(kind="done")
    return 0


def _say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
