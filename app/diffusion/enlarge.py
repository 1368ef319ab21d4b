"""Pictures made larger, as jobs like any others: in the queue, in the library, with a recipe. No model is needed."""

import time
from collections.abc import Sequence

from PIL import Image

from app.core.errors import AtelierError, FieldError, GenerationCancelled, InvalidRequest
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.diffusion.made import PassWatch
from app.diffusion.starts import Pictures, opened_flat
from app.picture.fit import scaled
from app.picture.resize import MAX_PIXELS

METHOD = "Lanczos"


def enlarge_batch(requests: Sequence[GenerationRequest], watch: PassWatch, pictures: Pictures) -> None:
    """Make the picture of each request and tell `watch` of it; errors are told, too."""
    for index, request in enumerate(requests):
        started = time.monotonic()
        error: AtelierError | None = GenerationCancelled() if watch.cancelled(index) else None
        if error is None:
            try:
                picture = enlarged(request, pictures)
            except AtelierError as refused:
                error = refused
            else:
                watch.step(index, 1, 1, None)
                watch.picture(index, picture)
        watch.ended(index, error, time.monotonic() - started)


def enlarged(request: GenerationRequest, pictures: Pictures) -> Picture:
    """The picture that an upscale request names, `scale` times as wide and as high.

    Raises UnknownInput if it is gone, and InvalidRequest if the result would have more than 16 million pixels.
    """
    started = time.monotonic()
    before = opened_flat(pictures, request.inputs[0].sha256)
    width, height = before.width * request.scale, before.height * request.scale
    if width * height > MAX_PIXELS:
        allowed = f"{width}x{height} is too large; allowed are {MAX_PIXELS} pixels in all"
        raise InvalidRequest([FieldError("scale", request.scale, allowed)])
    made = scaled(before, width, height, Image.Resampling.LANCZOS)
    how = {"upscaler": METHOD, "seconds": round(time.monotonic() - started, 3), "notes": []}
    return Picture(0, request.seed, width, height, made.tobytes(), how)
