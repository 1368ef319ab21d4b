"""What the service costs: `python -m benchmarks.overhead [--pairs 12] [--size 128] [--steps 30] [--model pocket]`.

1. The same job by plain diffusers in this process and by the service over HTTP (submit, wait, fetch the PNG), in
   pairs ordered ABBA. Printed: the median ratio with a 95 % bootstrap interval, and the milliseconds on top of plain
   diffusers. The pixels must be equal. `around_engine` is what lies between the client's clock and the engine's own:
   queue, disk, PNG, HTTP; other programs on the machine disturb it least.
2. From the submit to the first `step` event, against the first step of plain diffusers.
3. Submits while 10,000 jobs are queued.

The machine must be idle for figures that mean something: the load is printed too.
"""

import os

# Before torch is imported, and the same for the plain run and the service, which sets it itself.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import io
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from app.catalog import Catalog
from app.core.schema import GenerationRequest, JobState
from app.core.settings import Settings
from app.database import open_database, writing
from app.jobs.transitions import accept
from app.migrations import upgrade
from tests.system.victim import Victim

QUEUED = 10_000
SUBMITS = 300
BOOTSTRAPS = 4000


@dataclass(frozen=True)
class Timing:
    """Seconds of one job, of its way to the first step, and, where known, of the PNG and of the engine's own work."""

    total_s: float
    first_step_s: float
    encode_s: float = 0.0
    engine_s: float = 0.0


class Plain:
    """The job as the diffusers documentation does it: pipeline, generator, PNG."""

    def __init__(self, request: GenerationRequest) -> None:
        settings = Settings()
        folder = settings.models_folder / (Catalog(settings).get(request.model or "").path or "")
        self._pipe = StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True, local_files_only=True)
        self._pipe.set_progress_bar_config(disable=True)
        self._request = request
        self.pixels = b""

    def __call__(self) -> Timing:
        """Make the picture once."""
        request, first = self._request, list[float]()

        def on_step(_pipe: object, _step: int, _time: object, tensors: dict[str, Any]) -> dict[str, Any]:
            first.append(time.perf_counter())
            return tensors

        started = time.perf_counter()
        picture = self._pipe(
            request.prompt,
            num_inference_steps=request.num_inference_steps,
            guidance_scale=request.guidance_scale,
            width=request.width,
            height=request.height,
            generator=torch.Generator("cpu").manual_seed(request.seed),
            callback_on_step_end=on_step,
        ).images[0]
        made = time.perf_counter()
        picture.save(io.BytesIO(), "PNG")
        ended = time.perf_counter()
        self.pixels = picture.tobytes()
        return Timing(ended - started, first[0] - started, ended - made)


class Service:
    """The same job over HTTP: submit, follow the events to the end, fetch the file."""

    def __init__(self, victim: Victim, request: GenerationRequest) -> None:
        self._client = victim.client
        self._request = request
        self.pixels = b""

    def __call__(self) -> Timing:
        """Make the picture once."""
        started = time.perf_counter()
        job = self._client.submit(self._request)
        first: float | None = None
        for event in self._client.events(job.id):
            if event.kind == "step" and first is None:
                first = time.perf_counter()
        done = self._client.job(job.id)
        assert done.state is JobState.SUCCEEDED, done.error
        data = self._client.image_bytes(done.images[0].id)
        ended = time.perf_counter()
        with Image.open(io.BytesIO(data)) as picture:
            self.pixels = picture.tobytes()
        return Timing(ended - started, (first or ended) - started, engine_s=done.seconds or 0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--model", default="pocket")
    options = parser.parse_args(arguments)
    request = GenerationRequest(
        prompt="a red apple on a white table",
        model=options.model,
        width=options.size,
        height=options.size,
        num_inference_steps=options.steps,
        guidance_scale=4.0,
        seed=42,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the service is ended too
    with tempfile.TemporaryDirectory() as name:
        with Victim(Path(name) / "real", ENGINE="local") as victim:
            figures = _compare(Plain(request), Service(victim, request), options.pairs)
        figures |= _submits(Path(name) / "full", request)
    figures |= {"load_average": os.getloadavg()[0], "cpus": os.cpu_count()}
    print(json.dumps(figures, indent=2))
    return 0


def _compare(plain: Plain, service: Service, pairs: int) -> dict[str, object]:
    for _ in range(2):  # load the model, warm every cache
        plain(), service()
    assert plain.pixels == service.pixels, "the service made another picture than plain diffusers"
    results: list[tuple[Timing, Timing]] = []
    for number in range(pairs):
        if number % 2 == 0:
            a = plain()
            b = service()
        else:
            b = service()
            a = plain()
        results.append((a, b))
    ratios = [b.total_s / a.total_s for a, b in results]
    low, high = _interval(ratios, statistics.median)
    return {
        "plain_median_ms": _ms([a.total_s for a, _ in results]),
        "service_median_ms": _ms([b.total_s for _, b in results]),
        "ratio_median": round(statistics.median(ratios), 4),
        "ratio_95": [round(low, 4), round(high, 4)],
        "extra_median_ms": _ms([b.total_s - a.total_s for a, b in results]),
        "around_engine_median_ms": _ms([b.total_s - b.engine_s for _, b in results]),
        "png_median_ms": _ms([a.encode_s for a, _ in results]),
        "first_step_plain_ms": _ms([a.first_step_s for a, _ in results]),
        "first_step_service_ms": _ms([b.first_step_s for _, b in results]),
        "pairs": pairs,
    }


def _submits(folder: Path, request: GenerationRequest) -> dict[str, object]:
    """Milliseconds of a submit while 10,000 jobs are queued and none is run."""
    victim = Victim(folder, START_PAUSED="true", MAX_QUEUE=str(2 * QUEUED), PRELOAD="false")
    _fill(victim, request)
    with victim:
        times = []
        for number in range(SUBMITS):
            started = time.perf_counter()
            victim.client.submit(request.model_copy(update={"seed": number}))
            times.append(time.perf_counter() - started)
    times.sort()
    return {"submit_p50_ms": _ms(times), "submit_p95_ms": round(times[int(SUBMITS * 0.95)] * 1000, 2), "queued": QUEUED}


def _fill(victim: Victim, request: GenerationRequest) -> None:
    (victim.folder / "data").mkdir(parents=True)
    database = open_database(victim.database_url)
    upgrade(database)
    resolved = Catalog(Settings()).resolve_with_entry(request)
    with writing(database) as connection:
        for _ in range(QUEUED):
            accept(
                connection,
                resolved.request,
                entry=resolved.entry,
                prompt=resolved.prompt,
                origin="api",
                caller="",
                turn=0,
                idempotency_key=None,
                fingerprint="",
                priority=0,
                now=time.time(),
            )
    database.dispose()


def _interval(values: Sequence[float], figure: Callable[[Sequence[float]], float]) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of a figure."""
    dice = random.Random(0)
    drawn = sorted(figure(dice.choices(values, k=len(values))) for _ in range(BOOTSTRAPS))
    return drawn[int(0.025 * BOOTSTRAPS)], drawn[int(0.975 * BOOTSTRAPS)]


def _ms(seconds: Sequence[float]) -> float:
    return round(statistics.median(seconds) * 1000, 2)


if __name__ == "__main__":
    sys.exit(main())
