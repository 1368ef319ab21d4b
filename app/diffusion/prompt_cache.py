"""Encoded prompts kept for the next picture: another seed, or the next job with the same words, skips the encoders."""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from app.diffusion.kinds import Pipeline

MAX_BYTES = 64 * 2**20  # 20 prompts of the largest text encoders, hundreds of the usual ones
Encoded = Any  # what a pipeline's encode_prompt gives: a tuple of tensors, lists of tensors and None


class PromptCache:
    """The newest encoded prompts of one loaded model, bounded by bytes; kept in RAM. One thread.

    What comes out is bit-equal to what went in. `encoding` is entered around every real use of the text encoders:
    whoever keeps them elsewhere to save memory brings them there, and takes them away afterwards.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.encoding: Callable[[], AbstractContextManager[None]] = nullcontext
        self.hits = self.misses = 0
        self._kept: OrderedDict[Any, tuple[Encoded, int]] = OrderedDict()

    def get(self, key: Any, encode: Callable[[], Encoded]) -> Encoded:
        """What `encode()` gives, from the cache if it was asked for before. `key` None is never kept."""
        if key is not None and key in self._kept:
            self.hits += 1
            self._kept.move_to_end(key)
            return _restored(self._kept[key][0])
        self.misses += 1
        with self.encoding():
            made = encode()
        if key is not None:
            self._keep(key, made)
        return made

    @contextmanager
    def around(self, pipe: Pipeline, state: Any = None) -> Iterator[None]:
        """While open, the pipeline's `encode_prompt` asks this cache. `state`: what else the encoding depends on."""
        name = "encode_prompt" if hasattr(pipe, "encode_prompt") else "_encode_prompt"  # as older ones call it
        own = getattr(pipe, name)
        signature = inspect.signature(own)

        def encode_prompt(*args: Any, **kwargs: Any) -> Encoded:
            given = signature.bind(*args, **kwargs).arguments
            if given.get("prompt") is None:  # it brings its embeddings along
                return own(*args, **kwargs)
            return self.get(_key(state, given), lambda: own(*args, **kwargs))

        setattr(pipe, name, encode_prompt)
        try:
            yield
        finally:
            delattr(pipe, name)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()

    def _keep(self, key: Any, made: Encoded) -> None:
        size = _bytes(made)
        if size > self.max_bytes:
            return
        self._kept[key] = (_stored(made), size)
        while sum(entry[1] for entry in self._kept.values()) > self.max_bytes:
            self._kept.popitem(last=False)


def _key(state: Any, given: dict[str, Any]) -> Any:
    """None for a call that gets tensors: nothing is encoded there."""
    try:
        return state, _flat(given)
    except TypeError:
        return None


def _flat(value: Any) -> Any:
    """The value as something that can be hashed. Raises TypeError for tensors and objects."""
    if isinstance(value, dict):
        return ("dict", *((name, _flat(part)) for name, part in value.items()))
    if isinstance(value, (list, tuple)):
        return ("list", *map(_flat, value))
    if isinstance(value, (torch.device, torch.dtype)):
        return str(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError


def _bytes(made: Encoded) -> int:
    if isinstance(made, torch.Tensor):
        return int(made.numel() * made.element_size())
    if isinstance(made, dict):
        return _bytes(list(made.values()))
    return sum(map(_bytes, made)) if isinstance(made, (list, tuple)) else 0


def _stored(made: Encoded) -> Encoded:
    """The same structure with (device, tensor in RAM) for each tensor. Copied, so that nobody can change it."""
    if isinstance(made, torch.Tensor):
        return _Stored(made.device, made.detach().to("cpu", copy=True))
    return _mapped(made, _stored)


def _restored(stored: Encoded) -> Encoded:
    if isinstance(stored, _Stored):
        return stored.tensor.to(stored.device, copy=True)
    return _mapped(stored, _restored)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: change(part) for name, part in value.items()}
    return type(value)(change(part) for part in value) if isinstance(value, (list, tuple)) else value


class _Stored:
    """A tensor in RAM and the device where it belongs."""

    def __init__(self, device: torch.device, tensor: torch.Tensor) -> None:
        self.device, self.tensor = device, tensor
