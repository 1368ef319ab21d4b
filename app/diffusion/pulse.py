"""A sign of life from inside a computation: a step of a large model on a CPU takes minutes, none of its layers does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.modules.module import register_module_forward_pre_hook


@contextmanager
def pulse(alive: Callable[[], None]) -> Iterator[None]:
    """While open, `alive()` is called before each layer of each model runs: some microseconds apart, so it must be
    cheap. For one thread at a time."""

    def beat(_module: Any, _arguments: Any) -> None:
        alive()

    handle = register_module_forward_pre_hook(beat)
    try:
        yield
    finally:
        handle.remove()
