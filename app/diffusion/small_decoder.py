"""Small decoders: they turn finished latents into pixels in the place of a model's own VAE, for models that ask for it.

Such a decoder (TAESD and its relatives) takes a twentieth of the VAE's time and leaves small things softer.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderTiny

from app.catalog import ModelEntry
from app.catalog.decoders import decoder_folder
from app.core.errors import ModelRefused, OutOfMemory
from app.diffusion.checkpoints import check_alone
from app.diffusion.kinds import Pipeline, Vae
from app.diffusion.memory import is_out_of_memory
from app.diffusion.previews import MAX_PREVIEW_SIDE, PreviewFit, shown_jpeg

SHARE = 0.05  # of the time since the last preview that the next one may take


class SmallDecoder(torch.nn.Module):  # type: ignore[misc]
    """Stands in for a pipeline's VAE: decodes by the small decoder, and encodes pictures to start from by the VAE."""

    def __init__(self, decoder: AutoencoderTiny, vae: Vae) -> None:
        super().__init__()
        self.decoder = decoder
        self._own = [vae]  # in a list, so that it is no part of this module

    @property
    def config(self) -> Any:
        """What pipelines ask of scale and shift: the decoder's."""
        return self.decoder.config

    @property
    def dtype(self) -> torch.dtype:
        """The decoder's number format."""
        found: torch.dtype = self.decoder.dtype
        return found

    @property
    def device(self) -> torch.device:
        """Where the decoder is."""
        found: torch.device = self.decoder.device
        return found

    def decode(self, latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """As AutoencoderTiny has it, one picture after the other, so that none depends on its neighbours."""
        return self.decoder.decode(latents, *args, **kwargs)

    def encode(self, pixels: torch.Tensor, **_: Any) -> Any:
        """As the VAE has it, in the decoder's scale."""
        vae = self._own[0]
        used, config = vae.dtype, vae.config
        overflows = used == torch.float16 and config.get("force_upcast")
        if overflows:
            vae.to(dtype=torch.float32)
        try:
            known = vae.encode(pixels.to(vae.dtype)).latent_dist
        finally:
            if overflows:
                vae.to(dtype=used)
        return _Encoded(_Scaled(known, self.dtype, config.get("shift_factor") or 0.0, config.scaling_factor))


@dataclass
class _Scaled:
    """A distribution of latents, in the scale in which the denoiser sees them: that is the small decoders' own."""

    known: Any
    dtype: torch.dtype
    shift: float
    scale: float

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        return self._scaled(self.known.sample(generator))

    def mode(self) -> torch.Tensor:
        return self._scaled(self.known.mode())

    def _scaled(self, values: torch.Tensor) -> torch.Tensor:
        return ((values - self.shift) * self.scale).to(self.dtype)


@dataclass
class _Encoded:
    latent_dist: Any


def read_decoder(entry: ModelEntry, folder: Path, pipe: Pipeline, device: torch.device, dtype: torch.dtype) -> Any:
    """The SmallDecoder of an entry that asks for one, from the models `folder`. Raises ModelRefused, OutOfMemory."""
    place = decoder_folder(folder, entry)
    vae = getattr(pipe, "vae", None)
    if place is None or vae is None:
        raise ModelRefused(f"There is no small decoder for {entry.title}.")
    check_alone(place, AutoencoderTiny.__name__)
    problem: str
    try:
        decoder = AutoencoderTiny.from_pretrained(place, use_safetensors=True, local_files_only=True, torch_dtype=dtype)
        ours, theirs = decoder.config.latent_channels, vae.config.latent_channels
        if ours != theirs:
            raise ValueError(f"it reads {ours} channels, and this model's latents have {theirs}")
        if decoder.config.scaling_factor != 1 or decoder.config.shift_factor:
            raise ValueError("its latents have another scale than the denoiser's")
        decoder.enable_slicing()
        return SmallDecoder(decoder.to(device).eval(), vae)
    except (OSError, ValueError, TypeError, RuntimeError, LookupError, AttributeError, MemoryError) as error:
        problem, memory_ran_out = f"{type(error).__name__}: {str(error)[:300]}", is_out_of_memory(error)
    if memory_ran_out:
        raise OutOfMemory(f"There is not enough memory for the small decoder of {entry.key}.", hint=problem)
    raise ModelRefused(f"The small decoder of {entry.key} cannot be loaded: {problem}")


@contextmanager
def in_place_of_vae(pipe: Pipeline, decoder: SmallDecoder | None, *, tiled: bool) -> Iterator[None]:
    """While open, the pipeline decodes by the decoder, if there is one; in tiles where its VAE would."""
    if decoder is None:
        yield
        return
    own = pipe.vae
    if tiled:
        decoder.decoder.enable_tiling()
    else:
        decoder.decoder.disable_tiling()
    pipe.vae = decoder
    try:
        yield
    finally:
        pipe.vae = own


class DecodedPreviews:
    """Previews by a small decoder, where they cost next to nothing; else by the matrix of `fit`. One thread."""

    def __init__(self, decoder: SmallDecoder, fit: PreviewFit, now: Callable[[], float] = time.monotonic) -> None:
        self._decoder, self._fit, self._now = decoder, fit, now
        self._took_s, self._last = 0.0, now()

    def jpeg(self, latent: torch.Tensor, width: int, height: int) -> bytes | None:
        """See `PreviewFit.jpeg`."""
        began = self._now()
        values = self._fit.plain(latent, width, height)
        if values is None or self._took_s > SHARE * (began - self._last):
            self._last = began
            return self._fit.jpeg(latent, width, height)
        small = max(1, max(values.shape[1:]) * self._fit.factor // MAX_PREVIEW_SIDE)
        reduced = torch.nn.functional.avg_pool2d(values[None], small) if small > 1 else values[None]
        with torch.no_grad():
            pixels = self._decoder.decode(reduced.to(self._decoder.device, self._decoder.dtype)).sample[0]
        shown = shown_jpeg(pixels.float().cpu() / 2 + 0.5, width, height)
        self._last = self._now()
        self._took_s = self._last - began
        return shown
