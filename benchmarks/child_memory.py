"""Does the models' process grow? `python -m benchmarks.child_memory [JOBS]`: its memory while it makes that many (200).

Real child, shipped model, sizes and prompt lengths that change. Prints a line for each tenth; status 1 if the last half
grew by more than 5 %.
"""

import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import psutil

from app.catalog import Catalog
from app.core.schema import GenerationRequest
from app.core.settings import Settings
from app.engine.base import EngineEvent, Outcome, Picture, Work
from app.engine.local import LocalEngine
from tests.engine.watching import NoInputs

MIB = 2**20
MOST_GROWTH = 1.05


class Ended:
    """A watch that waits for the end."""

    def step(self, event: EngineEvent) -> None:
        """See `Watch`."""

    def picture(self, job_id: str, picture: Picture) -> None:
        """See `Watch`."""

    def ended(self, job_id: str, outcome: Outcome) -> None:
        """See `Watch`. Raises SystemExit with what went wrong."""
        if outcome.error:
            raise SystemExit(outcome.error.message)

    def cancelled(self, job_id: str) -> bool:
        """See `Watch`."""
        return False


def some_work(catalog: Catalog, number: int) -> Work:
    """A job unlike the one before it."""
    side = (64, 128, 192)[number % 3]
    prompt = " ".join(["a red apple"] * (1 + number % 7))
    wish = GenerationRequest(prompt=prompt, seed=number, width=side, height=side, num_inference_steps=2)
    resolved = catalog.resolve_with_entry(wish)
    return Work(job_id=str(uuid4()), attempt=1, request=resolved.request, entry=resolved.entry, images=(0,))


def main(jobs: int) -> int:
    """Run and print; the exit status."""
    seen = []
    with tempfile.TemporaryDirectory() as data:
        settings = Settings(data_folder=Path(data), device="cpu", previews_per_s=0)
        catalog = Catalog(settings)
        engine = LocalEngine("cpu", settings=settings, catalog=catalog)
        try:
            for number in range(jobs):
                engine.run([some_work(catalog, number)], NoInputs(), Ended())
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
