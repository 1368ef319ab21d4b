"""How quick the job table is: submits a second, and submit, claim, look and list with 10,000 jobs in the queue.

    python -m benchmarks.queue [--queued 10000] [--url postgresql+psycopg://…] [--folder /where/to/put/the/file]

Every write is durable (SQLite: WAL with synchronous=FULL), so the disk decides most of it.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import insert

from app.core.batching import batch_key, megapixel_steps
from app.core.schema import GenerationRequest, JobState
from app.database import jobs, open_database, writing
from app.jobs.table import JobTable
from app.migrations import upgrade

ROUNDS = 100


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


def milliseconds(call: Callable[[int], object], rounds: int = ROUNDS) -> str:
    """Median and 95th percentile of `call(0)`, `call(1)` …"""
    taken = []
    for number in range(rounds):
        started = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - started) * 1000)
    return f"p50 {statistics.median(taken):7.2f} ms   p95 {statistics.quantiles(taken, n=20)[-1]:7.2f} ms"


def measure(url: str, queued: int) -> None:
    """Print the figures of one database."""
    database = open_database(url)
    started = time.perf_counter()
    upgrade(database)
    migrated = time.perf_counter()
    upgrade(database)
    print(f"migrate {1000 * (migrated - started):.0f} ms, again {1000 * (time.perf_counter() - migrated):.1f} ms")
    table = JobTable(database, boot_id="benchmark", max_queue=queued + 10 * ROUNDS)
    started = time.perf_counter()
    for number in range(ROUNDS):
        table.submit(a_request(number), origin="api")
    print(f"submit, empty queue     {ROUNDS / (time.perf_counter() - started):7.0f} a second, one thread")
    fill(url, queued)
    newest = table.page(limit=1).items[0].id
    print(f"with {queued} queued:")
    print("  submit               ", milliseconds(lambda number: table.submit(a_request(number), origin="api")))
    print("  claim                ", milliseconds(lambda number: table.claim(loaded=["sdxl-turbo"])))
    print("  get, last in line    ", milliseconds(lambda number: table.get(newest)))
    print("  list of 50           ", milliseconds(lambda number: table.page(limit=50), 20))
    print("  counts               ", milliseconds(lambda number: table.counts()))
    database.dispose()


def main() -> None:
    """Measure a new SQLite file, or the database of --url (which must be empty)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--url")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measure(options.url or f"sqlite:///{Path(folder) / 'queue.db'}", options.queued)


if __name__ == "__main__":
    main()
