"""Requests to pixels: the core that both the library class and the engine's child process call.

Every image has a CPU generator of its own, seeded `seed + i`, and every run a scheduler of its own, so a picture does
not depend on its neighbours or on what ran before. On a CPU images are made one by one: batching is slower there,
and it changes the last bits (2e-6, enough to flip a pixel value now and then).
"""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from app.core.errors import AtelierError, GenerationCancelled, OutOfMemory
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.core.shapes import as_drawn
from app.diffusion.cache import ModelCache
from app.diffusion.made import Made
from app.diffusion.pipelines import LoadedModel
from app.diffusion.prompts import pass_key
from app.diffusion.retry import try_again
from app.diffusion.rows import Row, RunWatch, run_rows
from app.picture.fit import delivered

GPU_BATCH_PIXELS = 4 * 1024 * 1024  # rows of one GPU pass, in pixels of all of them


def generate(
    loaded: LoadedModel,
    request: GenerationRequest,
    *,
    on_step: Callable[[int, int, bytes | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    wants_preview: Callable[[], bool] | None = None,
    cache: ModelCache | None = None,
) -> list[Picture]:
    """All images of one resolved request, in order. The arguments are those of `generate_batch` for one request.

    Raises GenerationCancelled within one step after `cancelled()` became true (nothing is decoded then), OutOfMemory,
    GenerationFailed, InvalidRequest. The model is ready for the next call in every case.
    """
    [made] = generate_batch(
        loaded,
        [request],
        on_step=(lambda _, step, of, preview: on_step(step, of, preview)) if on_step else None,
        cancelled=(lambda _: cancelled()) if cancelled else None,
        wants_preview=(lambda _: wants_preview()) if wants_preview else None,
        cache=cache,
    )
    if made.error is not None:
        raise made.error
    return list(made.pictures)


def generate_batch(
    loaded: LoadedModel,
    requests: Sequence[GenerationRequest],
    *,
    on_step: Callable[[int, int, int, bytes | None], None] | None = None,
    cancelled: Callable[[int], bool] | None = None,
    wants_preview: Callable[[int], bool] | None = None,
    cache: ModelCache | None = None,
) -> list[Made]:
    """One result for each request, in order. The requests are resolved and share a batch key.

    `on_step(index, step, of, preview)` is called after each denoising step for every request it served; `of` counts
    all steps of the request, `preview` is a JPEG or None. `wants_preview(index)` is asked first: absent, no previews
    are made. `cancelled(index)` is asked at each step; a cancelled request leaves its neighbours undisturbed.
    Errors are in the results; only bugs are raised.

    What ran out of memory is made again, once, by a `cache` that holds the model: see `retry`. A model that knows only
    some sizes draws the nearest one; its pictures come in the size that was asked for.
    """
    asked, requests = requests, [as_drawn(request, loaded.entry.shapes) for request in requests]
    results = _with_retry(loaded, requests, on_step, cancelled, wants_preview, cache)
    return [_delivered(made, request) for made, request in zip(results, asked, strict=True)]


def _delivered(made: Made, asked: GenerationRequest) -> Made:
    size = asked.width or 0, asked.height or 0
    try:
        return replace(made, pictures=tuple(delivered(picture, *size) for picture in made.pictures))
    except MemoryError:  # what was drawn is small, what was asked for need not be
        words = f"There was not enough memory for {asked.width}x{asked.height} pixels."
        return replace(made, pictures=(), error=OutOfMemory(words, hint="Try a smaller size or fewer images."))


def _with_retry(
    loaded: LoadedModel,
    requests: Sequence[GenerationRequest],
    on_step: Callable[[int, int, int, bytes | None], None] | None,
    cancelled: Callable[[int], bool] | None,
    wants_preview: Callable[[int], bool] | None,
    cache: ModelCache | None,
) -> list[Made]:
    def attempt(model: LoadedModel, chosen: Sequence[int], at_once: int | None) -> list[Made]:
        """What becomes of the chosen requests; watchers hear of them by their place among all."""
        return _attempt(
            model,
            [requests[index] for index in chosen],
            (lambda i, step, of, preview: on_step(chosen[i], step, of, preview)) if on_step else None,
            (lambda i: cancelled(chosen[i])) if cancelled else None,
            (lambda i: wants_preview(chosen[i])) if wants_preview else None,
            at_once,
        )

    results = attempt(loaded, range(len(requests)), None)
    short = [index for index, made in enumerate(results) if isinstance(made.error, OutOfMemory)]
    if not short or cache is None:
        return results
    again = try_again(cache, loaded, [requests[i] for i in short], [results[i] for i in short],
                      lambda model, at_once: attempt(model, short, at_once),
                      _at_once(loaded, [requests[i] for i in short]))  # fmt: skip
    for index, made in zip(short, again, strict=True):
        results[index] = made
    return results


def _attempt(
    loaded: LoadedModel,
    requests: Sequence[GenerationRequest],
    on_step: Callable[[int, int, int, bytes | None], None] | None,
    cancelled: Callable[[int], bool] | None,
    wants_preview: Callable[[int], bool] | None,
    at_once: int | None,
) -> list[Made]:
    rows = [
        Row(index, image, request.seed + image, request)
        for index, request in enumerate(requests)
        for image in range(request.num_images)
    ]
    if not rows:
        return []
    try:
        with loaded.loras.applied(loaded.pipe, requests[0].prompt, loaded.entry.lora):
            return _make(loaded, requests, rows, on_step, cancelled, wants_preview, at_once)
    except AtelierError as error:  # of the LoRAs: what happens to a picture is in the results already
        return [Made(error=error) for _ in requests]


def _make(
    loaded: LoadedModel,
    requests: Sequence[GenerationRequest],
    rows: list[Row],
    on_step: Callable[[int, int, int, bytes | None], None] | None,
    cancelled: Callable[[int], bool] | None,
    wants_preview: Callable[[int], bool] | None,
    at_once: int | None,
) -> list[Made]:
    chunks = _chunks(loaded, rows, at_once)
    pictures: dict[int, list[Picture]] = {index: [] for index in range(len(requests))}
    errors: dict[int, AtelierError] = {}
    seconds = dict.fromkeys(range(len(requests)), 0.0)
    for number, chunk in enumerate(chunks):
        for index in {row.request_index for row in chunk} - set(errors):
            if cancelled and cancelled(index):
                errors[index] = GenerationCancelled()
        open_rows = [row for row in chunk if row.request_index not in errors]
        if not open_rows:
            continue
        watch = RunWatch(open_rows, _places(chunks, number), on_step, cancelled, wants_preview)
        started = time.monotonic()
        try:
            made = run_rows(loaded, open_rows, watch)
        except AtelierError as error:
            # Its frames would keep the pass's tensors alive while it is made again.
            error.__traceback__ = None
            errors |= {row.request_index: error for row in open_rows}
            made = {}
        share = (time.monotonic() - started) / len(open_rows)
        for row in open_rows:
            seconds[row.request_index] += share
            if row in made:
                pictures[row.request_index].append(made[row])
        errors |= {index: GenerationCancelled() for index in watch.dropped}
    return [_made(pictures[i], errors.get(i), seconds[i]) for i in range(len(requests))]


def _made(pictures: list[Picture], error: AtelierError | None, seconds: float) -> Made:
    return Made((), error, seconds) if error else Made(tuple(pictures), None, seconds)


def _chunk_size(loaded: LoadedModel, request: GenerationRequest) -> int:
    if loaded.device.type != "cuda":
        return 1
    return max(1, GPU_BATCH_PIXELS // ((request.width or 512) * (request.height or 512)))


def _at_once(loaded: LoadedModel, requests: Sequence[GenerationRequest]) -> int:
    """How many images the largest pass of these requests had."""
    return min(_chunk_size(loaded, requests[0]), sum(request.num_images for request in requests))


def _chunks(loaded: LoadedModel, rows: list[Row], at_once: int | None) -> list[list[Row]]:
    """The rows of each pass. Prompts of different lengths never share one: the shorter would have to be padded."""
    size = at_once or _chunk_size(loaded, rows[0].request)
    if size == 1:
        return [[row] for row in rows]
    alike: dict[Hashable, list[Row]] = {}
    for row in rows:
        alike.setdefault(pass_key(loaded.pipe, row.request), []).append(row)
    return [group[start : start + size] for group in alike.values() for start in range(0, len(group), size)]


def _places(chunks: list[list[Row]], number: int) -> dict[int, tuple[int, int]]:
    """For each request of a chunk: how many chunks of it come before, and how many it has in all."""
    members = [{row.request_index for row in chunk} for chunk in chunks]
    return {
        index: (sum(index in m for m in members[:number]), sum(index in m for m in members))
        for index in members[number]
    }  # fmt: skip
