"""Ten thousand uploads: `python -m benchmarks.inputs [NUMBER]`. Does the quota hold, and is exactly the unused freed?

A real store on a real SQLite file. Every third picture is used by a queued job, one in a hundred by a running one.
Prints one JSON object; status 1 if a used picture is gone, an unused one is left, or the quota was passed.
"""

import io
import json
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from sqlalchemy import update

from app.core.errors import InputsFull
from app.core.schema import GenerationRequest, InputRef, JobInput
from app.core.settings import Settings
from app.core.task import Task
from app.database import inputs, open_database, writing
from app.inputs import InputStore
from app.jobs.table import JobTable
from app.migrations import upgrade
from app.storage import Folder

NUMBER = 10_000
QUOTA = 2**20  # so small that it is reached by the last upload


def picture(number: int) -> bytes:
    """A small PNG unlike all others."""
    stream = io.BytesIO()
    colours = bytes(number * step // 7 % 256 for step in range(1, 16 * 16 * 3 + 1))
    Image.frombytes("RGB", (16, 16), number.to_bytes(4, "big") + colours[4:]).save(stream, "PNG")
    return stream.getvalue()


def job_of(table: JobTable, ref: InputRef) -> None:
    """Submit a job that starts from this picture."""
    request = GenerationRequest(
        prompt="a", model="pocket", num_inference_steps=4, guidance_scale=1.0, width=64, height=64, seed=1,
        scheduler="default", task=Task.IMAGE, inputs=(JobInput(sha256=ref.sha256),), strength=0.5,
    )  # fmt: skip
    table.submit(request, origin="api")


def quota_holds(store: InputStore, most: int) -> bool:
    """Upload until it is full; True if no more than `most` bytes are kept then."""
    for number in range(100_000):
        stream = io.BytesIO()
        Image.effect_noise((200, 200), 99 + number).save(stream, "PNG")
        try:
            store.put(stream.getvalue())
        except InputsFull:
            return store.used_bytes() <= most
    return False


def main(number: int) -> int:
    """Measure; the exit status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = open_database(f"sqlite:///{folder / 'atelier.db'}")
        upgrade(database)
        store, table = InputStore(database, Folder(folder), Settings()), JobTable(database, boot_id="bench")
        started = time.monotonic()
        refs = [store.put(picture(i)) for i in range(number)]
        uploaded_s = time.monotonic() - started
        used = refs[::3]
        for ref in used:
            job_of(table, ref)
        running = [table.claim() for _ in range(len(used) // 100)]
        with writing(database) as connection:
            connection.execute(update(inputs).values(uploaded_at=inputs.c.uploaded_at - 7200))
        started = time.monotonic()
        freed = store.free_unused()
        freed_s = time.monotonic() - started
        left = {file.stem for file in (folder / "inputs").iterdir()}
        exact = left == {ref.sha256 for ref in used} and freed == number - len(used)
        most = QUOTA + store.used_bytes()
        holds = quota_holds(InputStore(database, Folder(folder), Settings(inputs_max_bytes=most)), most)
        database.dispose()
    found = {
        "uploads": number, "running": len(running), "queued": len(used) - len(running), "freed": freed,
        "left": len(left),
        "exactly_the_unused": exact, "quota_holds": holds, "upload_ms": round(1000 * uploaded_s / number, 2),
        "freeing_s": round(freed_s, 2),
    }  # fmt: skip
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if exact and holds else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else NUMBER))
