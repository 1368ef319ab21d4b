"""What pictures show, as jobs like any others: in the queue, with words instead of a picture."""

import time
from collections.abc import Sequence
from typing import Protocol

from app.core.errors import AtelierError, GenerationCancelled
from app.core.schema import GenerationRequest
from app.diffusion.describers import Describer
from app.diffusion.starts import Pictures, opened_flat


class Told(Protocol):
    """Who hears what becomes of requests, by their place in the list."""

    def step(self, index: int, step: int, of: int, preview: bytes | None) -> None:
        """After each token, of at most `of`."""
        ...

    def cancelled(self, index: int) -> bool:
        """Asked at each token."""
        ...

    def ended(self, index: int, error: AtelierError | None, seconds: float, text: str | None = None) -> None:
        """How a request ended: with the text, or with this error."""
        ...


def describe_batch(
    requests: Sequence[GenerationRequest], pictures: Pictures, describer: Describer, watch: Told
) -> None:
    """Say what the picture of each request shows and tell `watch` of it; errors are told, too."""
    for index, request in enumerate(requests):
        started = time.monotonic()
        text, error = None, None

        def told(done: int, of: int, index: int = index) -> None:
            watch.step(index, done, of, None)
            if watch.cancelled(index):
                raise GenerationCancelled

        try:
            picture = opened_flat(pictures, request.inputs[0].sha256)
            text = describer.describe(picture, request.prompt, request.language, told)
        except AtelierError as refused:
            error = refused
        watch.ended(index, error, time.monotonic() - started, text)
