"""The fast maker for tests: no model and no torch, 4 ms a step, pixels that depend on prompt, seed and size alone.

`ATELIER_ENGINE=test` selects it. Words in a prompt make it fail, half way through the steps of a picture:

`!crash`  the process ends itself as by `kill -9`
`!hang`   it sleeps for ever and hears no cancel
`!stuck`  the same, but before the first step
`!slow`   100 ms a step instead of 4
`!oom`    OutOfMemory
`!error`  GenerationFailed; `!error3` at the third image of the job
`!load`   (before the first step) one second of loading
"""

import hashlib
import io
import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from PIL import Image

from app.catalog import ModelEntry
from app.core.errors import GenerationFailed, OutOfMemory
from app.core.hires import result_size
from app.core.picture import Picture
from app.core.schema import GenerationRequest, JobError
from app.core.task import Task
from app.engine.base import Inputs, Outcome, Work
from app.engine.loop import Options, Report, serve
from app.families import family_of

STEP_S = 0.004
SLOW_STEP_S = 0.1
KEPT_MODELS = 2
PREVIEW_PIXELS = 32


def draw(request: GenerationRequest, index: int) -> bytes:
    """RGB of picture `index`, `width * height * 3` bytes: stripes that another seed, prompt or size changes."""
    width, height = result_size(request)
    subseed = request.subseed_of(index)
    noise = f"{request.seed_of(index)}" + (f" {subseed} {request.subseed_strength}" if subseed is not None else "")
    recipe = f"{noise} {width}x{height} {request.prompt}"
    return hashlib.shake_256(recipe.encode()).digest(width * 3) * height


class FastMaker:
    """Pretends to load models and to denoise."""

    name = "test"

    def __init__(self, options: Options) -> None:
        self._device = options.device
        self._loaded: tuple[str, ...] = ()

    def make(self, work: Sequence[Work], folder: Path, inputs: Inputs, report: Report) -> None:
        """See `Maker`. One pass makes the next image of each job; a picture is described by its size and bytes."""
        started = time.monotonic()
        if work[0].request.task is Task.DESCRIBE:
            self.load(work[0].entry, folder, report)
            for item in work:
                self._describe(item, inputs, report)
            return
        if any("!load" in item.request.prompt for item in work):
            report.loading("loading", 0, 2)
            time.sleep(1)
        self.load(work[0].entry, folder, report)
        report.alive()
        while any("!stuck" in item.request.prompt for item in work):
            time.sleep(60)
        waiting = list(work)
        for number in range(max(len(item.images) for item in work)):
            pass_started = time.monotonic()
            self._denoise(waiting, number, report)
            now, waiting = waiting, []
            for item in now:
                outcome = self._outcome(item, item.images[number], report, time.monotonic() - started)
                if not outcome.error and not outcome.cancelled:
                    seconds = time.monotonic() - pass_started
                    report.picture(item.job_id, self._picture(item, item.images[number], len(now), seconds))
                    if number + 1 < len(item.images):
                        waiting.append(item)
                        continue
                report.ended(item.job_id, outcome)

    def _describe(self, item: Work, inputs: Inputs, report: Report) -> None:
        started, of = time.monotonic(), 50 if "!slow" in item.request.prompt else 2
        for step in range(1, of + 1):
            time.sleep(SLOW_STEP_S if of > 2 else STEP_S)
            _fail_if_asked([item])
            report.step(item.job_id, step, of)
            if report.cancelled(item.job_id):
                report.ended(item.job_id, Outcome(cancelled=True, seconds=time.monotonic() - started))
                return
        file = inputs.open(item.request.inputs[0].sha256)
        with Image.open(io.BytesIO(file)) as picture:
            text = f"{picture.width}x{picture.height} {hashlib.sha256(file).hexdigest()[:8]} {item.request.language}"
        report.ended(item.job_id, Outcome(seconds=time.monotonic() - started, text=text))

    def look(
        self, entry: ModelEntry, folder: Path, pictures: Sequence[bytes], words: str, report: Report
    ) -> list[bytes]:
        """See `Maker`: the colours of 4 x 4 parts; of words that are `#rrggbb`, a picture of that colour.

        What is a preprocessor sees grey.
        """
        self.load(entry, folder, report)
        if family_of(entry.pipeline).sees:
            return [_grey(file) for file in pictures]
        colour = re.fullmatch(r"#([0-9a-f]{6})", words)
        looked = [_colours(file) for file in pictures]
        return looked + ([_centred(bytes.fromhex(colour[1]) * 16) if colour else b""] if words else [])

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

    def _denoise(self, work: Sequence[Work], number: int, report: Report) -> None:
        """The pass that makes picture `number` of what each job still needs."""
        of = work[0].request.num_inference_steps or 1
        for step in range(1, of + 1):
            open_work = [item for item in work if not report.cancelled(item.job_id)]
            if not open_work:
                return
            time.sleep(SLOW_STEP_S if any("!slow" in item.request.prompt for item in open_work) else STEP_S)
            if step == (of + 1) // 2:
                _fail_if_asked(open_work)
            for item in open_work:
                preview = _preview(item.request) if report.wants_preview(item.job_id) else None
                report.step(item.job_id, number * of + step, len(item.images) * of, preview)

    def _outcome(self, item: Work, image: int, report: Report, seconds: float) -> Outcome:
        """How the work would end with this image."""
        if report.cancelled(item.job_id):
            return Outcome(cancelled=True, seconds=seconds)
        if "!oom" in item.request.prompt:
            return Outcome(JobError.of(OutOfMemory()), seconds=seconds)
        wrong = re.search(r"!error(\d*)", item.request.prompt)
        if wrong and image == int(wrong[1] or 1) - 1:
            return Outcome(JobError.of(GenerationFailed()), seconds=seconds)
        return Outcome(seconds=seconds)

    def _picture(self, item: Work, image: int, batch_size: int, seconds: float) -> Picture:
        request = item.request
        how = {
            "model": item.entry.key,
            "revision": item.entry.revision,
            "scheduler": request.scheduler,
            "device": self._device,
            "dtype": "uint8",
            "batch_size": batch_size,
            "versions": {"maker": "test"},
            "seconds": seconds,
        }
        if (subseed := request.subseed_of(image)) is not None:
            how["subseed"] = subseed
        seed = request.seed_of(image)
        return Picture(image, seed, *result_size(request), draw(request, image), how)


def _grey(file: bytes) -> bytes:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(file)) as picture:
        picture.convert("L").convert("RGB").save(stream, "PNG")
    return stream.getvalue()


def _colours(file: bytes) -> bytes:
    try:
        with Image.open(io.BytesIO(file)) as picture:
            return _centred(picture.convert("RGB").resize((4, 4), Image.Resampling.BOX).tobytes())
    except OSError:
        return b""


def _centred(pixels: bytes) -> bytes:
    return bytes((value - 128) % 256 for value in pixels)


def _fail_if_asked(work: Sequence[Work]) -> None:
    prompts = " ".join(item.request.prompt for item in work)
    if "!crash" in prompts:
        os.kill(os.getpid(), signal.SIGKILL)
    while "!hang" in prompts:
        time.sleep(60)


def _preview(request: GenerationRequest) -> bytes:
    small = {"width": PREVIEW_PIXELS, "height": PREVIEW_PIXELS, "enable_hr": False}
    row = draw(request.model_copy(update=small), 0)
    stream = io.BytesIO()
    Image.frombytes("RGB", (PREVIEW_PIXELS, PREVIEW_PIXELS), row).save(stream, "JPEG", quality=70)
    return stream.getvalue()


if __name__ == "__main__":
    serve(FastMaker)
