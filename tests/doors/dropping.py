"""A watcher of a drop folder, for as long as there is something to do."""

import threading
import time
from pathlib import Path

from app.client import ImageServiceClient
from app.dropfolder import Watcher

PATIENCE_S = 90.0


def answer_all(folder: Path, url: str) -> None:
    """Answer every prompt file of the folder by the service at `url`."""
    with ImageServiceClient(url, origin="drop") as client:
        watcher = Watcher(folder, client)
        thread = threading.Thread(target=watcher.run)
        thread.start()
        deadline = time.monotonic() + PATIENCE_S
        try:
            while list(folder.glob("*x*.txt")) != list(folder.glob("*-error.txt")) or list(folder.glob("*.claimed*")):
                assert time.monotonic() < deadline, sorted(file.name for file in folder.iterdir())
                time.sleep(0.05)
        finally:
            watcher.stop()
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
