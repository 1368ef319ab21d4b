"""How quick the library is with 10,000 pictures: `python benchmarks/library.py [ROWS]`.

Prints the median and 95th percentile, and the median of the processor time alone (for a busy machine), in milliseconds,
of each call the page makes. The rows are invented (no files); the database is a real SQLite file with the shipped
schema, in a temporary folder. Opens read one real file.
"""

import argparse
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, insert

from app.core.schema import GenerationRequest, Job, JobState
from app.database import images, open_database, writing
from app.engine.base import Picture
from app.image_rows import image_row
from app.library import Library
from app.migrations import upgrade

REPEATS = 50
AT_ONCE = 10_000  # rows in one statement
WORDS = ("apple", "table", "cat", "river", "mountain", "castle", "forest", "lamp", "moon", "robot", "harbour", "flower")
CHINESE = ("苹果", "桌子", "猫", "河流", "山", "城堡", "月亮")
START = 1_700_000_000.0


def fill(database: Engine, rows: int) -> None:
    """Insert `rows` images of jobs of four, one prompt in five used again."""
    draw = random.Random(1)
    prompts: list[str] = []
    values: list[dict[str, object]] = []
    for number in range(rows):
        if number % 4 == 0:
            again = prompts and draw.random() < 0.2
            prompt = draw.choice(prompts) if again else f"{' '.join(draw.choices(WORDS + CHINESE, k=12))}, no. {number}"
            prompts.append(prompt)
            job_id = str(uuid.UUID(int=draw.getrandbits(128)))
        request = {"prompt": prompt, "model": "pocket", "seed": number, "width": 512, "height": 512}
        values.append(
            {
                "id": str(uuid.UUID(int=draw.getrandbits(128))),
                "job_id": job_id,
                "index": number % 4,
                "seed": number,
                "width": 512,
                "height": 512,
                "path": f"2026-11-20/{job_id}-{number % 4}.png",
                "sha256": f"{number:064x}",
                "bytes": 400_000,
                "prompt": prompt,
                "negative_prompt": "",
                "model": draw.choice(("pocket", "sdxl-turbo")),
                "origin": "ui",
                "seconds": 1.0,
                "favourite": number % 50 == 0,
                "created_at": START + number,
                "recipe": {"request": request, "how": {"device": "cpu", "versions": {"torch": "2.13.0"}}},
            }
        )
        if len(values) == AT_ONCE or number + 1 == rows:
            with writing(database) as connection:
                connection.execute(insert(images), values)
            values.clear()


def save_one(database: Engine, library: Library) -> str:
    """Write and commit one real 512x512 picture; its id."""
    request = GenerationRequest(
        prompt="a red apple", model="pocket", num_inference_steps=8, guidance_scale=4.0, width=512, height=512, seed=1,
        scheduler="default",
    )  # fmt: skip
    now = datetime.now(UTC)
    job = Job(id=str(uuid.uuid4()), state=JobState.RUNNING, origin="ui", request=request, attempt=1, created_at=now)
    image = library.write(job, Picture(0, 1, 512, 512, random.Random(1).randbytes(512 * 512 * 3)))
    with writing(database) as connection:
        connection.execute(insert(images).values(**image_row(image)))
    return image.id


def measure(name: str, call: Callable[[], object]) -> None:
    """Print one line for `call`, run 50 times after one that does not count."""
    call()
    times, busy = [], []
    for _ in range(REPEATS):
        start, busy_start = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - start) * 1000)
        busy.append((time.process_time() - busy_start) * 1000)
    p95 = statistics.quantiles(times, n=20)[18]
    print(
        f"{name:40} p50 {statistics.median(times):7.2f}  p95 {p95:7.2f}  processor p50 {statistics.median(busy):7.2f}"
    )


def main() -> None:
    """Fill a library and measure it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=10_000, help="Rows in the library.")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        database = open_database(f"sqlite:///{root / 'atelier.db'}")
        upgrade(database)
        library = Library(database, root / "pictures", root / "thumbnails")
        fill(database, rows)
        image_id = save_one(database, library)
        deep = library.search(limit=50).next
        for _ in range(min(100, rows // 200)):
            deep = library.search(limit=50, cursor=deep).next
        second = library.groups(limit=20).next
        print(f"{rows} rows, SQLite")
        measure("page of 50", lambda: library.search(limit=50))
        measure("page of 50, in the middle", lambda: library.search(limit=50, cursor=deep))
        measure("search: a word in many prompts", lambda: library.search(q="apple"))
        measure("search: three words", lambda: library.search(q="apple moon cat"))
        measure("search: a word in one prompt", lambda: library.search(q="4000"))
        measure("search: one Chinese character", lambda: library.search(q="猫"))
        measure("search: a word that is nowhere", lambda: library.search(q="zebra"))
        measure("search: two characters that are nowhere", lambda: library.search(q="zq"))
        measure("search: seed", lambda: library.search(seed=77))
        measure("search: model", lambda: library.search(model="pocket"))
        measure("search: favourites", lambda: library.search(favourite=True))
        measure("20 groups by prompt", lambda: library.groups(limit=20))
        measure("20 groups by prompt, second page", lambda: library.groups(limit=20, cursor=second))
        measure("20 groups by prompt, with a word", lambda: library.groups(limit=20, q="apple"))
        measure("20 groups by job", lambda: library.groups(limit=20, by="job"))
        measure("one image's row", lambda: library.get(image_id))
        measure("open a 512x512 picture", lambda: library.open(image_id))
        measure("thumbnail, kept", lambda: library.thumbnail(image_id, 256))
        database.dispose()


if __name__ == "__main__":
    main()
