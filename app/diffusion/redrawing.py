"""Upscalers that draw a picture anew, larger, from noise and by words: the upscale pipelines of diffusers, in tiles.

Tiles overlap and fade into each other, and the noise that they begin with is cut from one of the whole picture: where
two of them overlap, they draw nearly the same. A picture that is one tile is what the plain pipeline makes of it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image

from app.core.errors import AtelierError, GenerationFailed, ModelRefused, OutOfMemory
from app.core.schema import GenerationRequest
from app.diffusion.decode import Decoding
from app.diffusion.kinds import Pipeline
from app.diffusion.machine import dtype_name
from app.diffusion.memory import free_caches, is_out_of_memory
from app.diffusion.pipelines import LoadedModel
from app.diffusion.prompts import prompt_notes, read, texts
from app.diffusion.samplers import make_scheduler, with_config
from app.diffusion.upscalers import OTHER_UPSCALER, Upscaler
from app.families import Redraws, family_of

OVERLAP = 8  # a tile has an eighth of its side in common with the next
TWICE = 2  # what is drawn from latents is so many times as large


@dataclass(frozen=True)
class Span:
    """A tile along one side: where it is, in pixels of the small picture, and its share of each pixel of the large."""

    start: int
    stop: int
    shares: torch.Tensor


def spans(length: int, tile: int, overlap: int, factor: int) -> list[Span]:
    """Tiles of one side, whose shares of each pixel are 1 in all; neighbours have `overlap` pixels or more in common.
    All but a lone one are `tile` long."""
    starts = [0]
    while starts[-1] + tile < length:
        starts.append(min(starts[-1] + tile - overlap, length - tile))
    ramp = (torch.arange(overlap * factor) + 0.5) / (overlap * factor)
    whole = torch.zeros(length * factor)
    weights = []
    for start in starts:
        weight = torch.ones(min(tile, length) * factor)
        if start > 0:
            weight[: len(ramp)] *= ramp
        if start + tile < length:
            weight[-len(ramp) :] *= ramp.flip(0)
        whole[start * factor : start * factor + len(weight)] += weight
        weights.append(weight)
    parts = (whole[start * factor : start * factor + len(own)] for start, own in zip(starts, weights, strict=True))
    return [
        Span(start, start + len(own) // factor, own / part)
        for start, own, part in zip(starts, weights, parts, strict=True)
    ]


@dataclass(frozen=True)
class Redrawing:
    """A `Maker` that is a loaded pipeline."""

    loaded: LoadedModel
    way: Redraws

    @property
    def _pipe(self) -> Pipeline:
        return self.loaded.pipe

    @property
    def factor(self) -> int:
        """See `Maker`."""
        return TWICE if self.way.latent else int(self._pipe.vae_scale_factor)

    @property
    def multiple(self) -> int:
        """A side that the pipeline takes is a multiple of so many pixels: of its VAE's blocks, and its UNet's."""
        halved = 2 ** (len(self._pipe.unet.config.block_out_channels) - 1)
        seen = int(self._pipe.vae_scale_factor)
        return seen * halved if self.way.latent else math.lcm(seen, halved)

    def tiles(self, width: int, height: int) -> int:
        """See `Maker`."""
        return len(self._spans(width)) * len(self._spans(height))

    def steps(self, asked: GenerationRequest) -> int:
        """See `Maker`."""
        return asked.num_inference_steps or self.loaded.entry.num_inference_steps

    def layout(self) -> str:
        """See `Maker`."""
        return self.loaded.plan.name()

    def how(self, asked: GenerationRequest) -> dict[str, Any]:
        """See `Maker`."""
        loaded, level = self.loaded, self._noise_level()
        drawn = {"steps": self.steps(asked), "guidance_scale": self._guidance(asked), **level}
        return {
            "revision": loaded.revision,
            "pipeline": type(loaded.pipe).__name__,
            "scheduler": type(loaded.pipe.scheduler).__name__,
            "redrawn": drawn | {"tile": self._tile},
            "dtype": dtype_name(loaded.dtype),
            "memory": loaded.plan.words(),
            **({"retried": loaded.retried} if loaded.retried else {}),
            "versions": loaded.versions,
        }

    def notes(self, asked: GenerationRequest) -> list[str]:
        """See `Maker`."""
        words = read(asked)
        notes = [*self.loaded.notes, *prompt_notes(self._pipe, words)]
        if words.prompt.loras:
            notes.append("LoRAs have no effect where a picture only becomes larger")
        if self.way.latent and words.prompt.text.strip() and not self._guidance(asked):
            notes.append("the prompt has no effect with a guidance_scale of 0")
        return notes

    @torch.no_grad()
    def larger(
        self, picture: Image.Image, asked: GenerationRequest, number: int, told: Callable[[], None]
    ) -> Image.Image:
        """See `Maker`."""
        factor, columns, rows = self.factor, self._spans(picture.width), self._spans(picture.height)
        whole = filled_up(picture, columns[-1].stop, rows[-1].stop)
        noise = self._noise(whole, asked.seed + number)
        large = torch.zeros(3, whole.height * factor, whole.width * factor)
        for place, (row, column) in enumerate((row, column) for row in rows for column in columns):
            part = whole.crop((column.start, row.start, column.stop, row.stop))
            made = self._made(part, asked, asked.seed + number + place, self._cut(noise, row, column), told)
            at = slice(row.start * factor, row.stop * factor), slice(column.start * factor, column.stop * factor)
            large[:, *at] += made * row.shares[:, None] * column.shares
        kept = large[:, : picture.height * factor, : picture.width * factor]
        pixels = kept.mul_(255).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
        return Image.fromarray(pixels.numpy())

    @property
    def _tile(self) -> int:
        """The side of a tile: the family's, or the next that the model takes and that leaves room to overlap."""
        return max(2, -(-self.way.tile // self.multiple)) * self.multiple

    def _spans(self, length: int) -> list[Span]:
        overlap = max(1, self._tile // OVERLAP // self.multiple) * self.multiple
        return spans(-(-length // self.multiple) * self.multiple, self._tile, overlap, self.factor)

    def _guidance(self, asked: GenerationRequest) -> float:
        own = self.loaded.entry.guidance_scale
        return own if asked.guidance_scale is None else asked.guidance_scale

    def _noise_level(self) -> dict[str, int]:
        """The argument that only the pipelines have that look at pixels."""
        if self.way.latent:
            return {}
        return {"noise_level": min(self.way.noise_level, int(self._pipe.config.max_noise_level))}

    def _noise(self, whole: Image.Image, seed: int) -> torch.Tensor:
        """What the picture begins with, as the pipeline would draw it, after what it puts on the small picture."""
        draw, vae = torch.Generator("cpu").manual_seed(seed), self._pipe.vae
        high, wide = whole.height, whole.width
        channels, at = int(vae.config.latent_channels), int(self._pipe.vae_scale_factor) if self.way.latent else 1
        before = (1, channels if self.way.latent else 3, high // at, wide // at)
        larger = TWICE if self.way.latent else 1
        noise: torch.Tensor
        for shape in (before, (1, channels, larger * high // at, larger * wide // at)):
            noise = randn_tensor(shape, generator=draw, device=self.loaded.device, dtype=self.loaded.dtype)
        return noise

    def _cut(self, noise: torch.Tensor, row: Span, column: Span) -> torch.Tensor:
        at, larger = (int(self._pipe.vae_scale_factor), TWICE) if self.way.latent else (1, 1)
        top, bottom, left, right = (side * larger // at for side in (row.start, row.stop, column.start, column.stop))
        return noise[:, :, top:bottom, left:right]

    def _made(
        self, part: Image.Image, asked: GenerationRequest, seed: int, noise: torch.Tensor, told: Callable[[], None]
    ) -> torch.Tensor:
        """One tile, [3, h, w] in 0 to 1. Raises OutOfMemory, GenerationFailed, and what `told` raises."""
        problem: AtelierError
        steps, own = self.steps(asked), self._pipe.scheduler
        heard = _Steps(steps, told)
        try:
            self._pipe.scheduler = make_scheduler(with_config(own, self.loaded.entry.scheduler_config), None)
            with self.loaded.prompts.around(self._pipe), Decoding().watched(self._pipe):
                made = self._pipe(
                    **self._words(asked),
                    image=part,
                    num_inference_steps=steps,
                    guidance_scale=self._guidance(asked),
                    **self._noise_level(),
                    generator=torch.Generator("cpu").manual_seed(seed),
                    latents=noise,
                    output_type="pt",
                    callback=heard,
                ).images[0]
            heard.finish()
            pixels: torch.Tensor = made.float().cpu()
            return pixels
        except AtelierError as error:
            problem = error
        except (MemoryError, RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
            problem = _as_ours(error, part)
        finally:
            self._pipe.scheduler = own
        # Here and not inside `except`: the traceback's frames would keep the tile's tensors alive.
        self._pipe.maybe_free_model_hooks()
        if isinstance(problem, OutOfMemory):
            free_caches()
        raise problem.with_traceback(None)

    def _words(self, asked: GenerationRequest) -> dict[str, str | None]:
        prompt, negative = texts(self._pipe, read(asked))
        return {"prompt": prompt, "negative_prompt": negative or None}


class _Steps:
    """Called by a pipeline after its steps; tells each once, however often a scheduler makes one."""

    def __init__(self, of: int, told: Callable[[], None]) -> None:
        self._left = of
        self._told = told

    def __call__(self, *_of_the_step: Any) -> None:
        if self._left:
            self._left -= 1
            self._told()

    def finish(self) -> None:
        """Tell those that the scheduler did not make."""
        while self._left:
            self()


def redrawer(loaded: LoadedModel) -> Upscaler:
    """A loaded pipeline as an upscaler. Raises ModelRefused for one of a family that does not redraw."""
    way = family_of(loaded.entry.pipeline).redraws
    if way is None:
        raise ModelRefused(f"{loaded.entry.key} makes no RGB picture larger.")
    return Upscaler(loaded.entry, Redrawing(loaded, way), loaded.device)


def filled_up(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The picture at the top left of a larger one, beyond it its own last row and column."""
    if picture.size == (width, height):
        return picture
    whole = Image.new("RGB", (width, height))
    whole.paste(picture, (0, 0))
    for line in range(picture.width, width):
        whole.paste(picture.crop((picture.width - 1, 0, picture.width, picture.height)), (line, 0))
    last = whole.crop((0, picture.height - 1, width, picture.height))
    for line in range(picture.height, height):
        whole.paste(last, (0, line))
    return whole


def _as_ours(error: BaseException, part: Image.Image) -> AtelierError:
    if is_out_of_memory(error):
        return OutOfMemory(f"There was not enough memory for {part.width}x{part.height} pixels.", hint=OTHER_UPSCALER)
    return GenerationFailed(f"The pipeline failed: {type(error).__name__}: {error}")
