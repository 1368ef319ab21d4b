"""Pictures made larger, as jobs like any others: in the queue, in the library, with a recipe; by a model or without."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from app.core.errors import AtelierError, FieldError, GenerationCancelled, InvalidRequest, OutOfMemory
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.diffusion.cache import ModelCache
from app.diffusion.made import PassWatch
from app.diffusion.redrawing import Redrawing, redrawer
from app.diffusion.starts import Pictures, opened_flat
from app.diffusion.upscalers import Upscaler, fitted
from app.picture.fit import scaled
from app.picture.resize import MAX_PIXELS

METHOD = "Lanczos"
Told = Callable[[int, int], None]


def enlarge_batch(
    requests: Sequence[GenerationRequest],
    watch: PassWatch,
    pictures: Pictures,
    upscaler: Upscaler | None = None,
    cache: ModelCache | None = None,
) -> None:
    """Make the picture of each request and tell `watch` of it; errors are told, too. `cache`: see `enlarged`."""
    for index, request in enumerate(requests):
        started = time.monotonic()
        error: AtelierError | None = GenerationCancelled() if watch.cancelled(index) else None
        if error is None:
            try:
                watch.picture(index, enlarged(request, pictures, upscaler, _telling(watch, index), cache))
            except AtelierError as refused:
                error = refused
        watch.ended(index, error, time.monotonic() - started)


def enlarged(
    request: GenerationRequest,
    pictures: Pictures,
    upscaler: Upscaler | None = None,
    told: Told | None = None,
    cache: ModelCache | None = None,
) -> Picture:
    """The picture that an upscale request names, `scale` times as wide and as high.

    If memory runs out, it is tried once more with the upscaler as its `cache` lays it out to need less.

    Raises UnknownInput if it is gone, InvalidRequest if the result would have more than 16 million pixels, OutOfMemory,
    and what `told` raises, which hears of each step of the upscaler's tiles.
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
        large, upscaler, again = _larger(before, request, upscaler, told, cache)
        made, notes = fitted(large, width, height)
        notes += upscaler.maker.notes(request)
        how = upscaler.how(request) | again
    how |= {"seconds": round(time.monotonic() - started, 3), "notes": notes}
    return Picture(0, request.seed, width, height, made.tobytes(), how)


def _larger(
    before: Image.Image, request: GenerationRequest, upscaler: Upscaler, told: Told, cache: ModelCache | None
) -> tuple[Image.Image, Upscaler, dict[str, Any]]:
    """The picture larger, by which upscaler, and what its recipe says of a second attempt. Raises OutOfMemory."""
    layout = upscaler.maker.layout()
    try:
        return upscaler.enlarge(before, request.scale, told, asked=request), upscaler, {}
    except OutOfMemory as error:
        short = error.with_traceback(None)  # whose frames would keep what was made so far
    lowered = _lowered(upscaler, cache) if cache else None
    if cache is None or lowered is None:
        raise short
    said = f"out of memory with {layout}; made again with {lowered.maker.layout()}"
    try:
        return lowered.enlarge(before, request.scale, told, asked=request), lowered, {"retried": said}
    except OutOfMemory:
        cache.unload(lowered.entry.key)  # so that the next job begins afresh
        raise


def _lowered(upscaler: Upscaler, cache: ModelCache) -> Upscaler | None:
    """The upscaler laid out so that it needs less memory; None if there is no such way, or it is no pipeline."""
    if not isinstance(upscaler.maker, Redrawing):
        return None
    lowered = cache.lower(upscaler.maker.loaded, decoding=False)
    return redrawer(lowered) if lowered else None


def _telling(watch: PassWatch, index: int) -> Told:
    """Tells each step, and ends the picture when nobody waits for it any more."""

    def told(done: int, of: int) -> None:
        watch.step(index, done, of, None)
        if watch.cancelled(index):
            raise GenerationCancelled

    return told
