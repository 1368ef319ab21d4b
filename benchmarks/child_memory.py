"""Does the models' process grow? `python -m benchmarks.child_memory [JOBS]`: its memory while it makes that many (200).

Real child, shipped model, sizes and prompt lengths that change. Prints a line for each tenth; status 1 if the last half
grew by more than 5 %.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psutil

from app.catalog import Catalog
from app.core.schema import GenerationRequest, Job, JobState
from app.core.settings import Settings
from app.engine.local import LocalEngine

MIB = 2**20
MOST_GROWTH = 1.05


def a_job(catalog: Catalog, number: int) -> Job:
    """A resolved job unlike the one before it."""
    side = (64, 128, 192)[number % 3]
    prompt = " ".join(["a red apple"] * (1 + number % 7))
    wish = GenerationRequest(prompt=prompt, seed=number, width=side, height=side, num_inference_steps=2)
    request, now = catalog.resolve(wish), datetime.now(UTC)
    return Job(id=str(uuid4()), state=JobState.RUNNING, origin="api", request=request, created_at=now)


def main(jobs: int) -> int:
    """Run and print; the exit status."""
    seen = []
    with tempfile.TemporaryDirectory() as data:
        settings = Settings(data_folder=Path(data), device="cpu", previews_per_s=0)
        catalog = Catalog(settings)
        engine = LocalEngine("cpu", settings=settings, catalog=catalog)
        try:
            for number in range(jobs):
                [outcome] = engine.run([a_job(catalog, number)], lambda _event: None, lambda _job: False)
                if outcome.error:
                    raise SystemExit(outcome.error.message)
                child = psutil.Process(engine.status().pid)
                seen.append(child.memory_info().rss)
                if (number + 1) % max(1, jobs // 10) == 0:
                    print(f"{number + 1:5} jobs  {seen[-1] / MIB:7.1f} MiB  {child.num_fds()} files  "
                          f"{child.num_threads()} threads")  # fmt: skip
        finally:
            engine.close()
    growth = seen[-1] / seen[len(seen) // 2]
    print(f"from job {len(seen) // 2 + 1} to the last: {growth:.3f} times")
    return int(growth > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
