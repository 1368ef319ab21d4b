"""Part `burst`: 32 jobs at once against a plain loop, which draws with plain diffusers and writes no file."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, Options, in_pairs, ratio
from benchmarks.pocket import Plain, default_request, folder_of, running

JOBS = 32
LEAST = 0.98


def measure(options: Options) -> Iterator[Figure]:
    """So many pictures a second, against so many."""
    request = default_request(options)
    jobs = 3 if options.tiny else JOBS if options.full else 8
    plain = Plain(folder_of(options), request)
    with tempfile.TemporaryDirectory() as name, running(options, Path(name) / "service") as victim:

        def loop() -> float:
            began = time.perf_counter()
            for _ in range(jobs):
                plain()
            return time.perf_counter() - began

        def burst() -> float:
            began = time.perf_counter()
            ids = [victim.client.submit(request.model_copy(update={"seed": 100 + number})).id for number in range(jobs)]
            for id in ids:
                for _ in victim.client.events(id):
                    pass
            return time.perf_counter() - began

        plain(), burst()
        pairs = in_pairs(burst, loop, 1 if options.tiny else 2)
        least = None if options.tiny else LEAST
        yield ratio(f"pictures a second: {jobs} jobs at once, over those of a plain loop", pairs, least=least)
