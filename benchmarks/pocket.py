"""Part `pocket`: the model that comes along, drawn by plain diffusers in this process and by the service over HTTP.

The picture is its default one, warm, from the request to the bytes of the PNG, and the pixels must be equal. Then
curves: more pictures in one job, and other sizes.
"""

import io
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from PIL import Image

from app.catalog import Catalog
from app.core.schema import GenerationRequest, JobState
from app.core.settings import Settings
from benchmarks.figures import Figure, Options, in_pairs, milliseconds, ratio
from tests.system.victim import Victim

PICTURES = (1, 2, 4, 8)
SIZES = (128, 256, 384, 512, 768, 1024)
MORE_MS = 40.0  # what the service may add to a picture


@dataclass(frozen=True)
class Timing:
    """Seconds of one job, of its way to the first step, and, where known, of the PNG and of the engine's own work."""

    total_s: float
    first_step_s: float
    encode_s: float = 0.0
    engine_s: float = 0.0


class Plain:
    """The job as the diffusers documentation does it: pipeline, generator, PNG."""

    def __init__(self, folder: Path, request: GenerationRequest) -> None:
        self._pipe = DiffusionPipeline.from_pretrained(folder, use_safetensors=True, local_files_only=True)
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


def default_request(options: Options, **changes: Any) -> GenerationRequest:
    """The model's own picture: its size, steps and guidance."""
    settings = Settings(models_folder=options.models, default_model=options.model)
    wished = GenerationRequest(prompt="a red apple on a white table", model=options.model, seed=42, **changes)
    return Catalog(settings).resolve_with_entry(wished).request


def folder_of(options: Options) -> Path:
    """Where the model lies."""
    settings = Settings(models_folder=options.models, default_model=options.model)
    return settings.models_folder / (Catalog(settings).get(options.model).path or "")


def running(options: Options, folder: Path) -> Victim:
    """The service with this model."""
    settings = {"ENGINE": "local", "MODELS_FOLDER": str(options.models.resolve()), "DEFAULT_MODEL": options.model}
    return Victim(folder, **settings)


def measure(options: Options) -> Iterator[Figure]:
    """The default picture in pairs, then the curves."""
    request = default_request(options)
    with tempfile.TemporaryDirectory() as name, running(options, Path(name) / "service") as victim:
        yield from _default(Plain(folder_of(options), request), Service(victim, request), options)
        few = 1 if options.tiny else 2 if options.full else 1
        for number in PICTURES[: 2 if options.tiny else None]:
            asked = request.model_copy(update={"num_images": number})
            yield _point("pictures in a job", number, options, victim, asked, few, images=number)
        for side in SIZES[: 1 if options.tiny else None if options.full else 4]:
            asked = request.model_copy(update={"width": side, "height": side})
            yield _point("side in pixels", side, options, victim, asked, few)


def _default(plain: Plain, service: Service, options: Options) -> Iterator[Figure]:
    for _ in range(2):  # load the model, warm every cache
        plain(), service()
    assert plain.pixels == service.pixels, "the service made another picture than plain diffusers"
    drawn: list[Timing] = []
    served: list[Timing] = []

    def run_plain() -> float:
        drawn.append(plain())
        return drawn[-1].total_s

    def run_service() -> float:
        served.append(service())
        return served[-1].total_s

    pairs = in_pairs(run_plain, run_service, options.pairs)
    yield ratio("default picture: service ÷ plain diffusers", pairs)
    more = [b - a for a, b in pairs]
    asked = None if options.tiny else MORE_MS
    yield milliseconds("what the service adds to it", more, most=asked)
    yield milliseconds("of it around the engine: queue, disk, PNG, HTTP", [t.total_s - t.engine_s for t in served])
    yield milliseconds("plain diffusers, with PNG", [timing.total_s for timing in drawn])
    yield milliseconds("its PNG alone", [timing.encode_s for timing in drawn])
    yield milliseconds("to the first step, plain", [timing.first_step_s for timing in drawn])
    yield milliseconds("to the first step, service", [timing.first_step_s for timing in served])


def _point(
    curve: str, at: int, options: Options, victim: Victim, request: GenerationRequest, times: int, images: int = 1
) -> Figure:
    """Seconds a picture over HTTP."""
    service = Service(victim, request)
    service()
    taken = statistics.median(service().total_s for _ in range(times)) / images
    return Figure(f"{curve}: {at}", taken, "s", curve=f"seconds a picture by {curve}", at=at)
