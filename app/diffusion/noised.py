"""Pictures from pictures with a pipeline that knows only words: diffusers has no class for the task in that family.

What diffusers' own classes for the task do: the picture's latents are encoded, as much noise is added as the first of
the remaining steps begins with, and the steps before are left out. Source: `StableDiffusionImg2ImgPipeline`.
"""

import functools
import inspect
import types
from collections.abc import Callable, Sequence
from typing import Any

import torch

from app.diffusion.blend import noisy
from app.diffusion.kinds import Pipeline, Scheduler
from app.diffusion.noise import NOISE
from app.diffusion.starts import Latents, Start

STEPS = "retrieve_timesteps"  # what a pipeline of diffusers asks its sampler for the steps with, in its call


def noised(
    pipe: Pipeline,
    starts: Sequence[Start | Latents],
    strength: float,
    noise: Sequence[torch.Generator],
) -> Callable[..., Any]:
    """The pipeline's call, which begins with these pictures, one for each row, and makes the last steps only.

    `noise`: the rows' own generators, the same that the call gets. Only this pipeline object is changed, and only
    during the call; its module, which others share, is left as it is.
    """
    late = _Late(pipe, starts, strength, noise)
    plain = inspect.unwrap(type(pipe).__call__)
    shortened = _with_globals(plain, **{STEPS: late.steps})

    def call(**arguments: Any) -> Any:
        prepare = pipe.prepare_latents
        own = "prepare_latents" in vars(pipe)
        pipe.prepare_latents = late.prepared(prepare)
        try:
            with torch.no_grad():
                return shortened(pipe, **arguments)
        finally:
            if own:
                pipe.prepare_latents = prepare
            else:
                del pipe.prepare_latents

    return call


def _with_globals(function: types.FunctionType, **changed: Any) -> types.FunctionType:
    """The same function, to which these names of its module mean something else."""
    made = types.FunctionType(
        function.__code__,
        {**function.__globals__, **changed},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


class _Late:
    """What one call begins with. Some pipelines ask for the steps first, others for the latents."""

    def __init__(
        self, pipe: Pipeline, starts: Sequence[Start | Latents], strength: float, noise: Sequence[torch.Generator]
    ) -> None:
        self._pipe, self._starts, self._strength, self._generators = pipe, starts, strength, noise
        self._retrieve = inspect.unwrap(type(pipe).__call__).__globals__[STEPS]
        self._first: torch.Tensor | None = None
        self._latents: torch.Tensor | None = None
        self._clean: torch.Tensor | None = None
        self._noise: torch.Tensor | None = None

    def steps(self, scheduler: Scheduler, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, int]:
        """The last steps, as many as the strength says. Their number is said as it was asked for: some pipelines step
        otherwise where it is 1."""
        steps, count = self._retrieve(scheduler, *args, **kwargs)
        left = min(int(count * self._strength), count)
        begin = (count - left) * scheduler.order
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(begin)
        self._first = steps[begin : begin + 1]
        self._begin()
        return steps[begin:], count

    def prepared(self, prepare: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        """`prepare_latents` whose latents are those of the pictures, as noisy as the first step has them."""

        def draw(own: Callable[..., torch.Tensor], *args: Any, **kwargs: Any) -> torch.Tensor:
            self._noise = own(*args, **kwargs)
            return self._noise.clone()

        function = prepare.__func__  # type: ignore[attr-defined]
        watched = _with_globals(function, **{NOISE: functools.partial(draw, function.__globals__[NOISE])})

        def prepared(*args: Any, **kwargs: Any) -> torch.Tensor:
            self._clean = self._encoded()  # first: so what is random of a row comes in the order of diffusers' classes
            self._latents = watched(self._pipe, *args, **kwargs)
            self._begin()
            return self._latents

        return prepared

    def _begin(self) -> None:
        if self._first is None or self._latents is None or self._clean is None or self._noise is None:
            return
        clean = self._clean.to(self._noise.device, self._noise.dtype)
        self._latents.copy_(noisy(self._pipe.scheduler, clean, self._noise, self._first.repeat(len(clean))))

    def _encoded(self) -> torch.Tensor:
        """[n, C, h, w]: the pictures as the denoiser sees them."""
        latents = [start.values for start in self._starts if isinstance(start, Latents)]
        if latents:
            return torch.stack(latents)
        vae = self._pipe.vae
        pictures = [start.picture for start in self._starts if isinstance(start, Start)]
        pixels = self._pipe.image_processor.preprocess(pictures)
        pixels = pixels.to(self._pipe._execution_device, vae.dtype)
        rows = []
        for row, generator in zip(pixels.split(1), self._generators, strict=True):
            made = vae.encode(row)
            rows.append(made.latent if hasattr(made, "latent") else made.latent_dist.sample(generator))
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        return (torch.cat(rows) - shift) * vae.config.scaling_factor
