"""The noise that a picture begins with, where it lies between those of two seeds: A1111's variations.

Source: A1111 `modules/rng.py` (`slerp`, `ImageRNG.first`).
"""

import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from app.diffusion.kinds import Pipeline

NOISE = "randn_tensor"  # what every pipeline of diffusers draws its first noise with, inside `prepare_latents`
ALIKE = 0.9995  # two noises whose angle has a larger cosine are as good as parallel


@dataclass(frozen=True)
class Variation:
    """How far the noise of one picture goes towards that of another seed: `strength` from 0 to 1."""

    subseed: int
    strength: float


@contextmanager
def varied(pipe: Pipeline, variations: Sequence[Variation | None]) -> Iterator[None]:
    """While open, the first noise of the pipeline's rows is that of their variations; of a row with None it is its own.

    Only this pipeline object is changed: its module, which others share, is left as it is.
    """
    if not any(variations):
        yield
        return
    own = pipe.prepare_latents.__func__
    blended = _Blended(own.__globals__[NOISE], variations)
    changed = types.FunctionType(
        own.__code__, {**own.__globals__, NOISE: blended}, own.__name__, own.__defaults__, own.__closure__
    )
    changed.__kwdefaults__ = own.__kwdefaults__
    pipe.prepare_latents = types.MethodType(changed, pipe)
    try:
        yield
    finally:
        del pipe.prepare_latents


class _Blended:
    """Draws noise in the place of diffusers' `randn_tensor`."""

    def __init__(self, draw: Any, variations: Sequence[Variation | None]) -> None:
        self._draw = draw
        self._variations = variations
        self._others = [torch.Generator("cpu").manual_seed(each.subseed if each else 0) for each in variations]

    def __call__(self, shape: Any, generator: Any = None, **how: Any) -> torch.Tensor:
        rows = list(self._draw(shape, generator=generator, **how))
        others = self._draw(shape, generator=self._others, **how)
        for i, variation in enumerate(self._variations):
            if variation is not None:
                rows[i] = between(variation.strength, rows[i], others[i])
        return torch.stack(rows)


def between(strength: float, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """The noise at `strength` of the way from `low` to `high`, along the arc between them: rows of [..., h, w].

    As A1111 has it, each column of each channel has an angle of its own.
    """
    one, other = low.float(), high.float()
    cosine = (_along(one) * _along(other)).sum(-2, keepdim=True)
    if cosine.mean() > ALIKE:
        return low
    angle = torch.acos(cosine)
    whole = torch.sin(angle)
    made = torch.sin((1 - strength) * angle) / whole * one + torch.sin(strength * angle) / whole * other
    return made.to(low.dtype)


def _along(noise: torch.Tensor) -> torch.Tensor:
    return noise / torch.norm(noise, dim=-2, keepdim=True)
