"""The last step, latents to pixels, with an eye on numbers that are no picture.

Some VAEs overflow in float16 (SDXL's own does): the picture comes out as NaN or black. Then it is decoded once more in
float32, which they were trained in.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from app.core.errors import GenerationFailed, OutOfMemory
from app.diffusion.kinds import Pipeline, Vae
from app.diffusion.memory import is_out_of_memory

AGAIN = "decoded in float32: the model's VAE gave no picture in {dtype}"
BLACK = -1.0  # what a VAE gives for black; a picture's range is -1 to 1


class DecodeOutOfMemory(OutOfMemory):
    """There was not enough memory to turn the finished latents into pixels."""


class Decoding:
    """What happened at the VAE in one pass: `notes` for the recipe, `out_of_memory` if memory ran out there."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.out_of_memory = False

    @contextmanager
    def watched(self, pipe: Pipeline) -> Iterator[None]:
        """While open, what the pipeline's VAE decodes is checked.

        Decoding raises GenerationFailed for latents, or a picture, that are not finite. A black picture from finite
        numbers is a picture if float32 says so too.
        """
        vae = getattr(pipe, "vae", None)
        if vae is None:
            yield
            return
        own = vae.decode

        def decode(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            try:
                return self._decode(vae, own, latents, args, kwargs)
            except (MemoryError, RuntimeError) as error:
                self.out_of_memory = is_out_of_memory(error)
                raise

        before = vars(vae).get("decode")
        vae.decode = decode
        try:
            yield
        finally:
            if before is None:
                del vae.decode
            else:
                vae.decode = before

    def _decode(self, vae: Vae, own: Callable[..., Any], latents: torch.Tensor, args: Any, kwargs: Any) -> Any:
        if not bool(torch.isfinite(latents).all()):
            raise GenerationFailed(
                "The model's numbers overflowed before there was a picture (NaN).",
                hint="Try another sampler, more steps, or a guidance_scale nearer to the model's default.",
            )
        out = own(latents, *args, **kwargs)
        if _is_picture(out):
            return out
        if vae.dtype != torch.float32:
            used = vae.dtype
            out = self._in_float32(vae, own, latents, args, kwargs)
            if bool(torch.isfinite(_sample(out)).all()):
                if _is_picture(out):
                    self.notes.append(AGAIN.format(dtype=str(used).removeprefix("torch.")))
                return out
        elif bool(torch.isfinite(_sample(out)).all()):
            return out
        raise GenerationFailed(
            "The model's VAE gave numbers that are not a picture (NaN), in float32 too.",
            hint="Its files may be damaged. Try another sampler or model.",
        )

    def _in_float32(self, vae: Vae, own: Callable[..., Any], latents: torch.Tensor, args: Any, kwargs: Any) -> Any:
        used = vae.dtype
        vae.to(dtype=torch.float32)
        try:
            out = own(latents.float(), *args, **kwargs)
        finally:
            vae.to(dtype=used)
        return out


def _sample(out: Any) -> torch.Tensor:
    return out[0] if isinstance(out, tuple) else out.sample


def _is_picture(out: Any) -> bool:
    """False for numbers that are not finite, and for black in every pixel of a row."""
    sample = _sample(out)
    if not bool(torch.isfinite(sample).all()):
        return False
    return bool((sample.flatten(1).amax(dim=1) > BLACK).all())
