"""Requests to pixels: the core that both the library class and the engine's child process call.

Every image has a CPU generator of its own, seeded `seed + i` (variations: see `noise`), and every run a scheduler of
its own, so a picture does not depend on its neighbours or on what ran before. How many are made in one pass,
`app.core.batching` says.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial

from app.core.batching import images_in_a_pass
from app.core.errors import AtelierError, GenerationCancelled, OutOfMemory
from app.core.hires import result_size
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.core.shapes import as_drawn
from app.diffusion.cache import ModelCache
from app.diffusion.hires import run_twice
from app.diffusion.made import Collected, Made, Making, PassWatch
from app.diffusion.pipelines import LoadedModel
from app.diffusion.prompts import pass_key
from app.diffusion.retry import try_again
from app.diffusion.rows import Row, RunWatch, run_rows
from app.diffusion.starts import Held, Pictures, finished
from app.families import family_of


class _Calls(PassWatch):
    """The watch of one request as functions."""

    def __init__(
        self,
        on_step: Callable[[int, int, bytes | None], None] | None,
        cancelled: Callable[[], bool] | None,
        wants_preview: Callable[[], bool] | None,
    ) -> None:
        self._on_step, self._cancelled, self._wants_preview = on_step, cancelled, wants_preview

    def step(self, index: int, step: int, of: int, preview: bytes | None) -> None:
        if self._on_step:
            self._on_step(step, of, preview)

    def cancelled(self, index: int) -> bool:
        return self._cancelled is not None and self._cancelled()

    def wants_preview(self, index: int) -> bool:
        return self._wants_preview is not None and self._wants_preview()


def generate(
    loaded: LoadedModel,
    request: GenerationRequest,
    *,
    on_step: Callable[[int, int, bytes | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    wants_preview: Callable[[], bool] | None = None,
    cache: ModelCache | None = None,
    pictures: Pictures | None = None,
) -> list[Picture]:
    """All images of one resolved request, in order. The arguments are as `PassWatch` and `make_batch` have them.

    Raises GenerationCancelled within one step after `cancelled()` became true (nothing is decoded then), OutOfMemory,
    GenerationFailed, InvalidRequest. The model is ready for the next call in every case.
    """
    [made] = generate_batch(
        loaded, [request], _Calls(on_step, cancelled, wants_preview), cache=cache, pictures=pictures
    )
    if made.error is not None:
        raise made.error
    return list(made.pictures)


def generate_batch(
    loaded: LoadedModel,
    requests: Sequence[GenerationRequest],
    watch: PassWatch | None = None,
    *,
    cache: ModelCache | None = None,
    pictures: Pictures | None = None,
) -> list[Made]:
    """One result for each request, in order. See `make_batch`; errors are in the results."""
    collected = Collected(watch or PassWatch())
    wanted = [(request, range(request.num_images)) for request in requests]
    make_batch(loaded, wanted, collected, cache=cache, pictures=pictures)
    return collected.made(requests)


def make_batch(
    loaded: LoadedModel,
    wanted: Sequence[tuple[GenerationRequest, Sequence[int]]],
    watch: PassWatch,
    *,
    cache: ModelCache | None = None,
    pictures: Pictures | None = None,
) -> None:
    """Make these images of each request, and tell `watch` of each as soon as it is made.

    The requests are resolved and share a batch key. Errors are told; only bugs are raised. What ran out of memory is
    made again, once, by a `cache` that holds the model: see `retry`. A model that knows only some sizes draws the
    nearest one; its pictures come in the size that was asked for. `pictures` has what requests start from.
    """
    shapes = loaded.entry.shapes
    makings = [
        Making(index, request, as_drawn(request, shapes), list(images))
        for index, (request, images) in enumerate(wanted)
    ]
    for making in makings:
        making.begin(pictures or Held())
    _attempt(makings, watch, loaded)
    short = [making for making in makings if making.ran_out]
    if short and cache is not None:
        at_once = _at_once(loaded, short)
        try_again(cache, loaded, short, partial(_attempt, short, watch), at_once)
    for making in makings:
        if not making.told:
            making.tell_end(watch)


def _attempt(
    makings: Sequence[Making],
    watch: PassWatch,
    loaded: LoadedModel,
    at_once: int | None = None,
    said: str | None = None,
) -> None:
    """Make what is left, `at_once` images in a pass. `said` goes into each recipe: why it is made again."""
    try:
        left = [(making, making.prompts) for making in makings if making.open and making.prompts and making.left]
        if not left:
            return
        with (
            loaded.loras.applied(loaded.pipe, left[0][1].prompt.loras, loaded.entry.lora),
            loaded.embeddings.applied(loaded.pipe, [prompts for _, prompts in left]) as read,
        ):
            rows = [
                Row(making.index, image, seed_of(image), asked, making.start, making.control, making.shown)
                for (making, _), asked in zip(left, read, strict=True)
                for seed_of in (making.request.seed_of,)
                for image in making.left
            ]
            _make(loaded, makings, _chunks(loaded, rows, at_once), watch, said)
    except AtelierError as error:  # of LoRAs and embeddings: what happens to a picture is told already
        for making in makings:
            if making.open:
                making.error = error


def _make(
    loaded: LoadedModel, makings: Sequence[Making], chunks: list[list[Row]], watch: PassWatch, said: str | None
) -> None:
    by_index = {making.index: making for making in makings}
    for number, chunk in enumerate(chunks):
        members = [by_index[index] for index in dict.fromkeys(row.request_index for row in chunk)]
        for making in members:
            if making.open and watch.cancelled(making.index):
                making.tell_end(watch, GenerationCancelled())
        open_rows = [row for row in chunk if by_index[row.request_index].open]
        if not open_rows:
            continue
        run_watch = RunWatch(open_rows, _places(chunks, number), watch)
        started = time.monotonic()
        problem: AtelierError | None = None
        made: dict[Row, Picture] = {}
        try:
            twice = members[0].asked.enable_hr  # so have all of a pass, and the same sizes
            run = partial(run_twice, asked=members[0].asked) if twice else run_rows
            made = run(loaded, open_rows, watch=run_watch)
        except AtelierError as error:
            # Its frames would keep the pass's tensors alive while it is made again.
            problem = error.with_traceback(None)
        share = (time.monotonic() - started) / len(open_rows)
        for row in open_rows:
            making = by_index[row.request_index]
            making.seconds += share
            if making.index in run_watch.dropped:
                making.error = GenerationCancelled()
            elif problem is not None:
                making.error = problem
            elif making.open:
                _hand_over(making, made.pop(row), watch, said)
        for making in members:
            if not making.told and not making.ran_out and (making.error or not making.left):
                making.tell_end(watch)


def _hand_over(making: Making, picture: Picture, watch: PassWatch, said: str | None) -> None:
    asked = making.asked
    if said is not None:
        picture = replace(picture, how={**picture.how, "retried": said})
    try:
        if not asked.enable_hr:  # else it has been
            picture = finished(picture, asked, making.frame)
    except MemoryError:  # what was drawn is small, what was asked for need not be
        words = f"There was not enough memory for {asked.width}x{asked.height} pixels."
        making.tell_end(watch, OutOfMemory(words, hint="Try a smaller size or fewer images."))
        return
    making.left.remove(picture.index)
    watch.picture(making.index, picture)


def _chunk_size(loaded: LoadedModel, request: GenerationRequest) -> int:
    width, height = result_size(request)
    alone = family_of(loaded.entry.pipeline).alone
    return 1 if alone else images_in_a_pass(str(loaded.device), width or 512, height or 512)


def _at_once(loaded: LoadedModel, makings: Sequence[Making]) -> int:
    """How many images the largest pass of these had."""
    return min(_chunk_size(loaded, makings[0].request), sum(len(making.left) for making in makings))


def _chunks(loaded: LoadedModel, rows: list[Row], at_once: int | None) -> list[list[Row]]:
    """The rows of each pass. Prompts of different lengths never share one: the shorter would have to be padded."""
    size = at_once or _chunk_size(loaded, rows[0].request)
    if size == 1:
        return [[row] for row in rows]
    alike: dict[Hashable, list[Row]] = {}
    for row in rows:
        alike.setdefault(pass_key(loaded.pipe, row.asked), []).append(row)
    return [group[start : start + size] for group in alike.values() for start in range(0, len(group), size)]


def _places(chunks: list[list[Row]], number: int) -> dict[int, tuple[int, int]]:
    """For each request of a chunk: how many chunks of it come before, and how many it has in all."""
    members = [{row.request_index for row in chunk} for chunk in chunks]
    return {
        index: (sum(index in m for m in members[:number]), sum(index in m for m in members))
        for index in members[number]
    }  # fmt: skip
