"""Part `queue`: submit, claim, look and list while jobs wait, and a submit over HTTP while 10,000 do.

Every write is durable (SQLite: WAL with synchronous=FULL), so the disk decides most of it.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import insert

from app.core.batching import batch_key, megapixel_steps
from app.core.schema import GenerationRequest, JobState
from app.database import jobs, open_database, writing
from app.jobs.table import JobTable
from app.migrations import upgrade
from benchmarks.figures import Figure, Options, milliseconds, seconds
from tests.system.victim import Victim

ROUNDS = 100
LINES = (0, 100, 1_000, 10_000)
SUBMIT_MS = 8.0
DRAWN = ("submit to the table", "claim")  # as curves


def a_request(number: int) -> GenerationRequest:
    """A resolved request; every third one is of another model."""
    return GenerationRequest(
        prompt=f"a red apple on a white table, number {number}",
        model=("pocket", "pocket", "sdxl-turbo")[number % 3],
        num_inference_steps=8,
        guidance_scale=4.0,
        width=256,
        height=256,
        seed=number,
        scheduler="default",
    )


def fill(table_url: str, count: int) -> None:
    """Put `count` queued jobs into the table at once."""
    database = open_database(table_url)
    rows = []
    for number in range(count):
        request = a_request(number)
        rows.append(
            {
                "id": f"filler-{number}",
                "fingerprint": str(number),
                "origin": "api",
                "state": JobState.QUEUED,
                "priority": 0,
                "model": request.model,
                "batch_key": batch_key(request),
                "request": request.model_dump(mode="json"),
                "num_images": 1,
                "megapixel_steps": megapixel_steps(request),
                "created_at": time.time(),
            }
        )
    with writing(database) as connection:
        connection.execute(insert(jobs), rows)
    database.dispose()


def measure(options: Options) -> Iterator[Figure]:
    """Each call of the table at each length of the line; then the submit of a client."""
    lines = LINES[:2] if options.tiny else LINES
    with tempfile.TemporaryDirectory() as name:
        for queued in lines:
            yield from _table(f"sqlite:///{Path(name) / f'{queued}.db'}", queued, 5 if options.tiny else ROUNDS)
        yield from _service(Path(name) / "service", lines[-1], options)


def _table(url: str, queued: int, rounds: int) -> Iterator[Figure]:
    database = open_database(url)
    upgrade(database)
    table = JobTable(database, boot_id="benchmark", max_queue=queued + 10 * ROUNDS)
    if queued:
        fill(url, queued)
    newest = table.submit(a_request(0), origin="api")[0].id
    calls: dict[str, Callable[[int], object]] = {
        "submit to the table": lambda number: table.submit(a_request(number), origin="api"),
        "claim": lambda _: table.claim(loaded=["sdxl-turbo"]),
        "look at the last in line": lambda _: table.get(newest),
        "list 50": lambda _: table.page(limit=50),
    }
    for name, call in calls.items():
        times = [seconds(lambda call=call, number=number: call(number)) for number in range(rounds)]  # type: ignore[misc]
        curve = f"{name}, ms by queued jobs" if name in DRAWN else ""
        yield milliseconds(f"{name}, {queued} queued", times, curve=curve, at=queued)
    database.dispose()


def _service(folder: Path, queued: int, options: Options) -> Iterator[Figure]:
    settings = {"MODELS_FOLDER": str(options.models.resolve()), "DEFAULT_MODEL": options.model}
    victim = Victim(folder, START_PAUSED="true", MAX_QUEUE=str(2 * queued + 1000), PRELOAD="false", **settings)
    (folder / "data").mkdir(parents=True)
    database = open_database(victim.database_url)
    upgrade(database)
    database.dispose()
    fill(victim.database_url, queued)
    with victim:
        request = a_request(0).model_copy(update={"model": options.model})
        number = 5 if options.tiny else ROUNDS * (3 if options.full else 1)
        times = [seconds(lambda: victim.client.submit(request)) for _ in range(number)]
    most = None if options.tiny else SUBMIT_MS
    yield milliseconds(f"submit over HTTP, {queued} queued", times, most=most)
