"""Latents and masks: inpainting where diffusers has no pipeline for it, and what is under a mask at first.

Both hear of the first picture's latents where the pipeline adds the first noise to them.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image

from app.diffusion.kinds import Scheduler

HALF = 127  # of 255: a lighter pixel of the mask is made anew


# What adds noise in a sampler → the place of the noise after the latents; those of flow matching have the latter only.
ADDING = {"add_noise": 0, "scale_noise": 1}


def noisy(scheduler: Scheduler, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Clean latents as noisy as a sampler has them at these of its times: one for each row, or one for all."""
    name, place = _adding(scheduler)
    return _added(getattr(scheduler, name), place, clean, noise, steps)


def _adding(scheduler: Scheduler) -> tuple[str, int]:
    return next((name, place) for name, place in ADDING.items() if hasattr(scheduler, name))


def _added(
    add: Callable[..., torch.Tensor], place: int, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor
) -> torch.Tensor:
    return add(clean, steps, noise) if place else add(clean, noise, steps)


class Blend:
    """Goes with one pass of a pipeline that makes pictures from pictures, its latents in rows of [C, h, w].

    What it does after each step is what diffusers' own inpainting does for a model that knows no masks.
    """

    def __init__(self, scheduler: Scheduler, masks: Sequence[Image.Image]) -> None:
        self._scheduler = scheduler
        self._masks = [mask.point(lambda value: 255 * (value > HALF)) for mask in masks]
        self._first: tuple[torch.Tensor, torch.Tensor] | None = None
        name, self._place = _adding(scheduler)
        self._add = getattr(scheduler, name)
        setattr(scheduler, name, self._watched(self._add, self._place))

    @property
    def order(self) -> int:
        """How many of the sampler's times a step has."""
        return int(self._scheduler.order)

    def __call__(self, latents: torch.Tensor, left: int) -> torch.Tensor:
        """The latents after a step, with `left` of the sampler's times still to come: the first picture is back outside
        the masks."""
        if self._first is None:
            return latents
        clean, noise = self._first
        if left:
            steps = self._scheduler.timesteps
            clean = _added(self._add, self._place, clean, noise, steps[len(steps) - left :][:1])
        mask = self._mask(latents)
        return ((1 - mask) * clean + mask * latents).to(latents.dtype)

    def _watched(self, add: Callable[..., torch.Tensor], place: int) -> Callable[..., torch.Tensor]:
        @functools.wraps(add)
        def watched(samples: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            self._first = samples, kwargs["noise"] if "noise" in kwargs else args[place]
            return add(samples, *args, **kwargs)

        return watched

    def _mask(self, latents: torch.Tensor) -> torch.Tensor:
        return _like(latents, self._masks)


def begin_anew(scheduler: Scheduler, masks: Sequence[Image.Image], *, noise: bool) -> None:
    """Under the masks nothing of the first picture is left: its latents are `noise` there, or 0.

    For one pass of a pipeline with this scheduler, whose latents are rows of [C, h, w] when noise is added first.
    """
    sharp = [mask.point(lambda value: 255 * (value > HALF)) for mask in masks]

    def without(add: Callable[..., torch.Tensor], place: int) -> Callable[..., torch.Tensor]:
        @functools.wraps(add)
        def added(samples: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            given = kwargs["noise"] if "noise" in kwargs else args[place]
            if samples.ndim == 4 and samples.shape == given.shape and len(samples) == len(sharp):
                mask = _like(samples, sharp)
                samples = samples * (1 - mask) + (given * mask if noise else 0)
            return add(samples, *args, **kwargs)

        return added

    for name, place in ADDING.items():
        if hasattr(scheduler, name):
            setattr(scheduler, name, without(getattr(scheduler, name), place))


def _like(latents: torch.Tensor, masks: Sequence[Image.Image]) -> torch.Tensor:
    """[n, 1, h, w]: 1 where it is made anew."""
    small = [mask.resize((latents.shape[-1], latents.shape[-2]), Image.Resampling.NEAREST) for mask in masks]
    rows = [torch.frombuffer(bytearray(mask.tobytes()), dtype=torch.uint8) for mask in small]
    stacked = torch.stack([row.view(1, *latents.shape[-2:]) for row in rows])
    return (stacked / 255).to(latents.device, latents.dtype)
