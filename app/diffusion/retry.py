"""Out of memory is an event: what it stopped is made again, once, one memory tier lower and half as many at a time."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from app.core.errors import AtelierError, OutOfMemory
from app.core.schema import GenerationRequest
from app.diffusion.cache import ModelCache
from app.diffusion.decode import DecodeOutOfMemory
from app.diffusion.made import Made
from app.diffusion.pipelines import LoadedModel
from app.tiers.plan import Plan

Attempt = Callable[[LoadedModel, int], list[Made]]


def try_again(
    cache: ModelCache,
    loaded: LoadedModel,
    requests: Sequence[GenerationRequest],
    failed: Sequence[Made],
    attempt: Attempt,
    at_once: int,
) -> list[Made]:
    """The second results of requests that ran out of memory, `at_once` images of them in a pass.

    `attempt(model, at_once)` makes them. A lower tier that keeps the pixels stays; one that does not is for this run
    only. If the second attempt fails too, the model is unloaded, so that the next job begins afresh.
    """
    before, half = loaded.plan, max(1, at_once // 2)
    decoding = all(isinstance(made.error, DecodeOutOfMemory) for made in failed)
    try:
        lowered = cache.lower(loaded, decoding=decoding)
    except AtelierError as error:
        return [replace(made, error=_final(request, before, error, None)) for made, request in _both(failed, requests)]
    if lowered is None and half < at_once:
        lowered = loaded
    if lowered is None:
        cache.unload(loaded.entry.key)
        return [replace(made, error=_final(request, before, None, None)) for made, request in _both(failed, requests)]
    said = f"out of memory with {_words(before, at_once)}; made again with {_words(lowered.plan, half)}"
    results = [_told(made, said) for made in attempt(lowered, half)]
    if any(isinstance(made.error, OutOfMemory) for made in results):
        below = cache.below(lowered)
        results = [
            replace(made, error=_final(request, lowered.plan, None, below))
            if isinstance(made.error, OutOfMemory)
            else made
            for made, request in _both(results, requests)
        ]
        cache.unload(lowered.entry.key)
    else:
        cache.settle(lowered)
    return results


def _both(made: Sequence[Made], requests: Sequence[GenerationRequest]) -> list[tuple[Made, GenerationRequest]]:
    return list(zip(made, requests, strict=True))


def _told(made: Made, said: str) -> Made:
    """The same with `retried` in each picture's recipe."""
    pictures = tuple(replace(picture, how={**picture.how, "retried": said}) for picture in made.pictures)
    return replace(made, pictures=pictures)


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
