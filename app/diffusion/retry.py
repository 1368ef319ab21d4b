"""Out of memory is an event: what it stopped is made again, once, one memory tier lower and half as many at a time."""

from collections.abc import Callable, Sequence

from app.core.errors import AtelierError, OutOfMemory
from app.core.schema import GenerationRequest
from app.diffusion.cache import ModelCache
from app.diffusion.decode import DecodeOutOfMemory
from app.diffusion.made import Making
from app.diffusion.pipelines import LoadedModel
from app.tiers.plan import Plan

Attempt = Callable[[LoadedModel, int, str], None]


def try_again(cache: ModelCache, loaded: LoadedModel, short: Sequence[Making], attempt: Attempt, at_once: int) -> None:
    """Make once more what is left of requests that ran out of memory, of which `at_once` images made a pass.

    `attempt(model, at_once, said)` makes it. A lower tier that keeps the pixels stays; one that does not is for this
    run only. If the second attempt fails too, the model is unloaded, so that the next job begins afresh, and the
    error says what would help.
    """
    before, half = loaded.plan, max(1, at_once // 2)
    decoding = all(isinstance(making.error, DecodeOutOfMemory) for making in short)
    try:
        lowered = cache.lower(loaded, decoding=decoding)
    except AtelierError as error:
        for making in short:
            making.error = _final(making.request, before, error, None)
        return
    if lowered is None and half < at_once:
        lowered = loaded
    if lowered is None:
        cache.unload(loaded.entry.key)
        for making in short:
            making.error = _final(making.request, before, None, None)
        return
    for making in short:
        making.error = None
    said = f"out of memory with {_words(before, at_once)}; made again with {_words(lowered.plan, half)}"
    attempt(lowered, half, said)
    again = [making for making in short if making.ran_out]
    if not again:
        cache.settle(lowered)
        return
    below = cache.below(lowered)
    for making in again:
        making.error = _final(making.request, lowered.plan, None, below)
    cache.unload(lowered.entry.key)


def _words(plan: Plan, at_once: int) -> str:
    return f"{plan.name()}, {at_once} at a time" if at_once > 1 else plan.name()


def _final(request: GenerationRequest, plan: Plan, error: AtelierError | None, below: Plan | None) -> OutOfMemory:
    """The error that the job ends with."""
    size = f"{request.width}x{request.height}"
    tries = [f"a smaller size than {size}"]
    if request.num_images > 1:
        tries.append("fewer images")
    if below is not None:
        tries.append(f"a lower memory tier (ATELIER_MEMORY_TIER={below.tier}; this was {plan.tier})")
    tries.append("a smaller model")
    *most, last = tries
    message = f"There was not enough memory for {size} pixels, nor when it was tried again in a smaller way."
    if error is not None:
        message += f" ({error.message})"
    return OutOfMemory(message, hint=f"Try {', '.join(most)} or {last}.")
