"""A watcher that is killed once at each step of its way: `python -m tests.dropfolder.killed_watcher FOLDER URL MARKS`.

Each step leaves a file in MARKS before it kills its process; another process goes on, until the folder is answered.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.client import ImageServiceClient
from app.dropfolder import Watcher
from app.dropfolder.claims import Claims

STEPS: tuple[tuple[Any, str], ...] = (
    (Claims, "take"),
    (ImageServiceClient, "submit"),
    (ImageServiceClient, "image_bytes"),
    (os, "fsync"),  # the answer is whole, under its temporary name
    (os, "rename"),  # it has its own name; the claim is still there
    (Path, "unlink"),
)
PATIENCE_S = 120.0


def main(folder: Path, url: str, marks: Path) -> int:
    """Start a watcher as often as it is killed; 0 when one has ended by itself, with all that was asked answered."""
    for _ in range(len(STEPS) + 1):
        child = os.fork()
        if child == 0:
            _be_a_watcher(folder, url, marks)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != -signal.SIGKILL:
            return status
    return 1


def _be_a_watcher(folder: Path, url: str, marks: Path) -> None:
    """In the forked process. Never returns."""
    threading.Timer(PATIENCE_S, os._exit, (3,)).start()
    for owner, name in STEPS:
        setattr(owner, name, _deadly(getattr(owner, name), marks / f"{owner.__name__}.{name}"))
    watcher = Watcher(folder, ImageServiceClient(url), settle_s=0.02, scan_s=0.1, dead_after_s=1.0)
    threading.Thread(target=_stop_when_answered, args=(watcher, folder), daemon=True).start()
    watcher.run()
    os._exit(0)


def _deadly(step: Callable[..., Any], mark: Path) -> Callable[..., Any]:
    """The same step; the first time that it was done to the end, its process is killed."""

    def stepped(*arguments: Any, **options: Any) -> Any:
        done = step(*arguments, **options)
        if _counts(mark.name, arguments):
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return done
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return stepped


def _counts(step: str, arguments: tuple[Any, ...]) -> bool:
    """A rename to an answer, not to a claim; the end of a claim, not of a heartbeat."""
    if step == "os.rename":
        return str(arguments[1]).endswith(".png")
    return step != "Path.unlink" or ".claimed-by-" in arguments[0].name


def _stop_when_answered(watcher: Watcher, folder: Path) -> None:
    while any(".txt" in name for name in os.listdir(folder)):
        threading.Event().wait(0.02)
    watcher.stop()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
