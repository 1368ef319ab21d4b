"""Part `library`: the calls that the page makes, from 1,000 pictures to a million.

The rows are invented (no files); the database is a real SQLite file with the shipped schema. That of a million is made
once, in the work folder, which takes minutes.
"""

import random
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, insert

from app.database import images, open_database, writing
from app.library import Library
from app.migrations import upgrade
from app.storage import Folder
from benchmarks.figures import Figure, Options, milliseconds, seconds

REPEATS = 20
ROWS = (1_000, 10_000, 100_000, 1_000_000)
MOST_MS = 300.0
DRAWN = ("page of 50", "search: a word in many prompts", "20 groups by prompt")  # as curves
AT_ONCE = 10_000  # rows in one statement
# All vectors are gone through: so many in that time.
ALIKE, MOST_ALIKE = "60 pictures like one", 100_000
MODEL, VECTOR, KEPT_AT_ONCE = "looks", 640, 500
WORDS = ("apple", "table", "cat", "river", "mountain", "castle", "forest", "lamp", "moon", "robot", "harbour", "flower")
CHINESE = ("苹果", "桌子", "猫", "河流", "山", "城堡", "月亮")
START = 1_700_000_000.0


def fill(database: Engine, rows: int, chance: int = 1) -> None:
    """Insert `rows` images of jobs of four, one prompt in five used again. The same `chance` gives the same images."""
    draw = random.Random(chance)
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


def measure(options: Options) -> Iterator[Figure]:
    """Each call at each size; a million with `full` alone, or where the work folder has it already."""
    for rows in ROWS[:1] if options.tiny else ROWS:
        kept = options.work / f"library-{rows}"
        if rows == ROWS[-1] and (options.full or kept.is_dir()):
            yield from _calls(kept, rows, options)
        elif rows != ROWS[-1]:
            with tempfile.TemporaryDirectory() as name:
                yield from _calls(Path(name), rows, options)


def _look(library: Library) -> None:
    """Give every image a vector of chance, as long as those of the captioner that comes along."""
    numbers, after = np.random.default_rng(1), 0
    while True:
        ids, last = library.not_looked_at(MODEL, after, AT_ONCE)
        if last == after:
            return
        vectors = numbers.integers(-127, 128, (len(ids), VECTOR), dtype=np.int8)
        for first in range(0, len(ids), KEPT_AT_ONCE):
            part = slice(first, first + KEPT_AT_ONCE)
            library.keep_looks(MODEL, {each: row.tobytes() for each, row in zip(ids[part], vectors[part], strict=True)})
        after = last


def _calls(root: Path, rows: int, options: Options) -> Iterator[Figure]:
    root.mkdir(parents=True, exist_ok=True)
    database = open_database(f"sqlite:///{root / 'atelier.db'}")
    upgrade(database)
    library = Library(database, Folder(root / "pictures"), root / "thumbnails")
    if not library.search(limit=1).items:
        fill(database, rows)
    image_id = library.search(limit=1).items[0].id
    deep = library.search(limit=50).next
    for _ in range(min(100, rows // 200)):
        deep = library.search(limit=50, cursor=deep).next
    second = library.groups(limit=20).next
    if not library.look_of(MODEL, image_id):
        _look(library)
    looked = library.look_of(MODEL, image_id)
    calls: dict[str, Callable[[], object]] = {
        "page of 50": lambda: library.search(limit=50),
        "page of 50, in the middle": lambda: library.search(limit=50, cursor=deep),
        "search: a word in many prompts": lambda: library.search(q="apple"),
        "search: three words": lambda: library.search(q="apple moon cat"),
        "search: a word in one prompt": lambda: library.search(q="4000"),
        "search: one Chinese character": lambda: library.search(q="猫"),
        "search: a word that is nowhere": lambda: library.search(q="zebra"),
        "search: two characters that are nowhere": lambda: library.search(q="zq"),
        "search: seed": lambda: library.search(seed=77),
        "search: favourites": lambda: library.search(favourite=True),
        "search: a size that is nowhere": lambda: library.search(width=640, height=640),
        "20 groups by prompt": lambda: library.groups(limit=20),
        "20 groups by prompt, second page": lambda: library.groups(limit=20, cursor=second),
        "20 groups by prompt, with a word": lambda: library.groups(limit=20, q="apple"),
        "20 groups by job": lambda: library.groups(limit=20, by="job"),
        ALIKE: lambda: library.nearest(MODEL, looked, 60),
        "one image's row": lambda: library.get(image_id),
    }
    for name, call in calls.items():
        call()
        times = [seconds(call) for _ in range(3 if options.tiny else REPEATS)]
        most = None if options.tiny or (name == ALIKE and rows > MOST_ALIKE) else MOST_MS
        curve = f"{name}, ms by pictures" if name in DRAWN else ""
        yield milliseconds(f"{name}, {rows} pictures", times, most=most, curve=curve, at=rows)
    database.dispose()
