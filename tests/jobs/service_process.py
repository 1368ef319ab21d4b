"""A service without HTTP in a process of its own, to be killed: `python -m tests.jobs.service_process FOLDER BOOT`."""

import sys
import time
from pathlib import Path

from app.catalog import Catalog
from app.core.settings import Settings
from app.database import open_database
from app.jobs.dispatcher import Dispatcher
from app.jobs.live import LiveEvents
from app.jobs.table import JobTable
from tests.engine.watching import NoInputs

from .engines import Shelf, SmallEngine


def main(folder: Path, boot_id: str) -> None:
    settings = Settings(models_folder=folder, output_folder=folder, preload=False)
    (folder / "catalog.toml").write_text('[pocket]\ntitle = "Pocket"\n')
    live = LiveEvents()
    table = JobTable(open_database(f"sqlite:///{folder / 'atelier.db'}"), boot_id=boot_id, on_event=live.publish)
    dispatcher = Dispatcher(
        table, Shelf(folder / "pictures"), [SmallEngine()], live, Catalog(settings), settings, NoInputs()
    )
    dispatcher.start()
    print("ready", flush=True)
    time.sleep(60)  # it is killed long before


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
