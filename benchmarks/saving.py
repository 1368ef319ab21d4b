"""Part `saving`: what encoding and saving a picture costs the next one.

A real child process, table and library; the pictures are noise, which is the dearest to encode. Measured is how long
the engine is held up when it hands over a picture, and what encoding and saving it takes in the thread beside it.
"""

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from app.catalog import Catalog
from app.core.schema import GenerationRequest, Job, SavedImage
from app.core.settings import Settings
from app.database import open_database
from app.engine.base import EngineEvent, Inputs, Outcome, Picture, Watch, Work
from app.engine.local import LocalEngine
from app.jobs.dispatcher import Dispatcher
from app.jobs.live import LiveEvents
from app.jobs.table import JobTable
from app.library import Library
from app.migrations import upgrade
from app.storage import Folder
from benchmarks.figures import Figure, Options, milliseconds
from tests.engine.watching import NoInputs

HELD_UP_MS = 10.0
END_S = 600.0


class TimedLibrary(Library):
    """A library that keeps what each file took."""

    took: list[float]

    def write(self, job: Job, picture: Picture) -> SavedImage:
        """See `Library`."""
        began = time.perf_counter()
        try:
            return super().write(job, picture)
        finally:
            self.took.append(time.perf_counter() - began)


class TimedEngine(LocalEngine):
    """An engine whose pictures are noise; it keeps how long each handing over held it up."""

    held_up: list[float]

    def run(self, work: Sequence[Work], inputs: Inputs, watch: Watch) -> None:
        """See `Engine`."""
        super().run(work, inputs, _Timed(watch, self.held_up))


class _Timed(Watch):
    def __init__(self, watch: Watch, held_up: list[float]) -> None:
        self._watch = watch
        self._held_up = held_up

    def step(self, event: EngineEvent) -> None:
        self._watch.step(event)

    def picture(self, job_id: str, picture: Picture) -> None:
        noise = replace(picture, rgb=random.Random(picture.seed).randbytes(len(picture.rgb)))
        began = time.perf_counter()
        self._watch.picture(job_id, noise)
        self._held_up.append(time.perf_counter() - began)

    def ended(self, job_id: str, outcome: Outcome) -> None:
        self._watch.ended(job_id, outcome)

    def cancelled(self, job_id: str) -> bool:
        return self._watch.cancelled(job_id)


def measure(options: Options) -> Iterator[Figure]:
    """Held up, and the saving itself."""
    side, number = (64, 2) if options.tiny else (1024, 16 if options.full else 6)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(
            models_folder=options.models, default_model=options.model, data_folder=folder / "data",
            output_folder=folder / "pictures", engine="test", preload=False,
        )  # fmt: skip
        database = open_database(f"sqlite:///{folder / 'atelier.db'}")
        upgrade(database)
        live = LiveEvents()
        table = JobTable(database, boot_id="boot", on_event=live.publish)
        library = TimedLibrary(database, Folder(settings.output_folder), folder / "thumbnails")
        library.took = []
        engine = TimedEngine("cpu", settings=settings, catalog=(catalog := Catalog(settings)))
        engine.held_up = []
        dispatcher = Dispatcher(table, library, [engine], live, catalog, settings, NoInputs())
        asked = GenerationRequest(
            prompt="!slow", model=options.model, width=side, height=side, num_images=number, seed=1,
            num_inference_steps=2 if options.tiny else 6, guidance_scale=0.0, scheduler="default",
        )  # fmt: skip
        job = table.submit(asked, origin="api")[0]
        dispatcher.start()
        try:
            deadline = time.monotonic() + END_S
            while not (job := table.get(job.id)).state.finished:
                assert time.monotonic() < deadline, job
                time.sleep(0.05)
        finally:
            dispatcher.stop(0)
            database.dispose()
    assert job.error is None, job.error
    most = None if options.tiny else HELD_UP_MS
    yield milliseconds(f"the next picture waits for one of {side} pixels", engine.held_up, most=most)
    yield milliseconds("while encoding and saving it takes", library.took)
