"""The fast maker for tests: no model and no torch, 4 ms a step, pixels that depend on prompt, seed and size alone.

`ATELIER_ENGINE=test` selects it. Words in a prompt make it fail, half way through the steps:

`!crash`  the process ends itself as by `kill -9`
`!hang`   it sleeps for ever and hears no cancel
`!stuck`  the same, but before the first step
`!slow`   100 ms a step instead of 4
`!oom`    OutOfMemory
`!error`  GenerationFailed
`!load`   (before the first step) one second of loading
"""

import hashlib
import io
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from PIL import Image

from app.catalog import ModelEntry
from app.core.errors import GenerationFailed, OutOfMemory
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.engine.base import Outcome
from app.engine.loop import Options, Report, Work, job_error, serve

STEP_S = 0.004
SLOW_STEP_S = 0.1
KEPT_MODELS = 2
PREVIEW_PIXELS = 32


def draw(request: GenerationRequest, index: int) -> bytes:
    """RGB of picture `index`, `width * height * 3` bytes: stripes that another seed, prompt or size changes."""
    width, height = request.width or 0, request.height or 0
    recipe = f"{request.seed + index} {width}x{height} {request.prompt}"
    return hashlib.shake_256(recipe.encode()).digest(width * 3) * height


class FastMaker:
    """Pretends to load models and to denoise."""

    name = "test"

    def __init__(self, options: Options) -> None:
        self._device = options.device
        self._loaded: tuple[str, ...] = ()

    def make(self, work: Sequence[Work], entry: ModelEntry, folder: Path, report: Report) -> list[Outcome]:
        """See `Maker`."""
        started = time.monotonic()
        if any("!load" in item.request.prompt for item in work):
            report.loading("loading", 0, 2)
            time.sleep(1)
        self.load(entry, folder, report)
        report.alive()
        while any("!stuck" in item.request.prompt for item in work):
            time.sleep(60)
        self._denoise(work, report)
        seconds = time.monotonic() - started
        return [self._outcome(item, entry, len(work), seconds) for item in work]

    def load(self, entry: ModelEntry, folder: Path, report: Report) -> None:
        """See `Maker`."""
        if entry.key in self._loaded:
            return
        report.loading("loading", 0, 2)
        report.loading("loading", 1, 2)
        report.loading("loaded", 2, 2)
        self._loaded = (*self._loaded, entry.key)[-KEPT_MODELS:]

    def unload(self, key: str) -> bool:
        """See `Maker`."""
        was_loaded = key in self._loaded
        self._loaded = tuple(other for other in self._loaded if other != key)
        return was_loaded

    def loaded(self) -> tuple[str, ...]:
        """See `Maker`."""
        return self._loaded

    def memory(self) -> tuple[int | None, int | None]:
        """See `Maker`."""
        return psutil.Process().memory_info().rss, psutil.virtual_memory().total

    def _denoise(self, work: Sequence[Work], report: Report) -> None:
        of = work[0].request.num_inference_steps or 1
        for step in range(1, of + 1):
            open_work = [item for item in work if not item.cancelled.is_set()]
            if not open_work:
                return
            time.sleep(SLOW_STEP_S if any("!slow" in item.request.prompt for item in open_work) else STEP_S)
            if step == (of + 1) // 2:
                _fail_if_asked(open_work)
            for item in open_work:
                preview = _preview(item.request) if report.wants_preview(item.job_id) else None
                report.step(item.job_id, step, of, preview)

    def _outcome(self, item: Work, entry: ModelEntry, batch_size: int, seconds: float) -> Outcome:
        request = item.request
        if item.cancelled.is_set():
            return Outcome(item.job_id, cancelled=True, seconds=seconds)
        if "!oom" in request.prompt:
            return Outcome(item.job_id, error=job_error(OutOfMemory()), seconds=seconds)
        if "!error" in request.prompt:
            return Outcome(item.job_id, error=job_error(GenerationFailed()), seconds=seconds)
        how = {
            "model": entry.key,
            "revision": entry.revision,
            "scheduler": request.scheduler,
            "device": self._device,
            "dtype": "uint8",
            "batch_size": batch_size,
            "versions": {"maker": "test"},
            "seconds": seconds,
        }
        pictures = [
            Picture(index, request.seed + index, request.width or 0, request.height or 0, draw(request, index), how)
            for index in range(request.num_images)
        ]
        return Outcome(item.job_id, tuple(pictures), seconds=seconds)


def _fail_if_asked(work: Sequence[Work]) -> None:
    prompts = " ".join(item.request.prompt for item in work)
    if "!crash" in prompts:
        os.kill(os.getpid(), signal.SIGKILL)
    while "!hang" in prompts:
        time.sleep(60)


def _preview(request: GenerationRequest) -> bytes:
    row = draw(request.model_copy(update={"width": PREVIEW_PIXELS, "height": PREVIEW_PIXELS}), 0)
    stream = io.BytesIO()
    Image.frombytes("RGB", (PREVIEW_PIXELS, PREVIEW_PIXELS), row).save(stream, "JPEG", quality=70)
    return stream.getvalue()


if __name__ == "__main__":
    serve(FastMaker)
