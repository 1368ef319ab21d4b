"""Pictures made larger, as jobs like any others: in the queue, in the library, with a recipe; by a model or without."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers
from PIL import Image

from app.core.errors import AtelierError, FieldError, GenerationCancelled, InvalidRequest
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.diffusion.machine import dtype_name
from app.diffusion.made import PassWatch
from app.diffusion.starts import Pictures, opened_flat
from app.diffusion.upscalers import Upscaler, fitted
from app.picture.fit import scaled
from app.picture.resize import MAX_PIXELS

METHOD = "Lanczos"
Told = Callable[[int, int], None]


def enlarge_batch(
    requests: Sequence[GenerationRequest], watch: PassWatch, pictures: Pictures, upscaler: Upscaler | None = None
) -> None:
    """Make the picture of each request and tell `watch` of it; errors are told, too."""
    for index, request in enumerate(requests):
        started = time.monotonic()
        error: AtelierError | None = GenerationCancelled() if watch.cancelled(index) else None
        if error is None:
            try:
                watch.picture(index, enlarged(request, pictures, upscaler, _telling(watch, index)))
            except AtelierError as refused:
                error = refused
        watch.ended(index, error, time.monotonic() - started)


def enlarged(
    request: GenerationRequest, pictures: Pictures, upscaler: Upscaler | None = None, told: Told | None = None
) -> Picture:
    """The picture that an upscale request names, `scale` times as wide and as high.

    Raises UnknownInput if it is gone, InvalidRequest if the result would have more than 16 million pixels, and what
    `told` raises, which hears of each tile of the upscaler's.
    """
    started, told = time.monotonic(), told or (lambda done, of: None)
    before = opened_flat(pictures, request.inputs[0].sha256)
    width, height = before.width * request.scale, before.height * request.scale
    if width * height > MAX_PIXELS:
        allowed = f"{width}x{height} is too large; allowed are {MAX_PIXELS} pixels in all"
        raise InvalidRequest([FieldError("scale", request.scale, allowed)])
    how: dict[str, Any] = {"upscaler": METHOD}
    notes: list[str] = []
    if upscaler is None:
        made = scaled(before, width, height, Image.Resampling.LANCZOS)
        told(1, 1)
    else:
        made, notes = fitted(upscaler.enlarge(before, request.scale, told), width, height)
        how = {
            "upscaler": upscaler.entry.title,
            "model": upscaler.entry.key,
            "repository": upscaler.entry.repository,
            "device": str(upscaler.device),
            "dtype": dtype_name(torch.float32),
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        }
    how |= {"seconds": round(time.monotonic() - started, 3), "notes": notes}
    return Picture(0, request.seed, width, height, made.tobytes(), how)


def _telling(watch: PassWatch, index: int) -> Told:
    """Tells each tile as a step, and ends the picture when nobody waits for it any more."""

    def told(done: int, of: int) -> None:
        watch.step(index, done, of, None)
        if watch.cancelled(index):
            raise GenerationCancelled

    return told
