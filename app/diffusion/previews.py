"""Live previews: latents to a small picture by one matrix, a dozen multiplications a latent pixel.

The matrix is fitted once per VAE, by least squares on a colour chart that the VAE itself encodes, so it works for
any number of channels. What is shown is the predicted end result, not the noisy latent: readable from early on.
"""

import functools
import inspect
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderDC, AutoencoderKL, AutoencoderKLQwenImage
from PIL import Image

from app.diffusion.kinds import Scheduler, Vae

MAX_PREVIEW_BYTES = 64 * 1024
MAX_PREVIEW_SIDE = 256
CHART, LARGE_CHART = 128, 512  # sides of the colour chart: 16 latent pixels at a factor of 8 and of 32


@dataclass(frozen=True)
class PreviewFit:
    """`rgb = [latent channels, 1] @ matrix`, values 0 to 1. `factor`: picture pixels along one latent pixel."""

    matrix: torch.Tensor
    factor: int = 8

    def jpeg(self, latent: torch.Tensor, width: int, height: int) -> bytes | None:
        """A JPEG of at most 64 KiB and 256 px, in the picture's proportions; None for a latent of unknown form.

        `latent` is one row: [C, h, w], or [C, 1, h, w] as of a video model, or packed in 2x2 patches [hw / 4, 4C].
        """
        values = self.plain(latent, width, height)
        if values is None:
            return None
        flat = values.reshape(values.shape[0], -1).T
        rgb = flat @ self.matrix[:-1] + self.matrix[-1]
        return shown_jpeg(rgb.T.reshape(3, *values.shape[1:]), width, height)

    def plain(self, latent: torch.Tensor, width: int, height: int) -> torch.Tensor | None:
        """One row of latents as [C, h, w] in float32 on the CPU; None for one of unknown form."""
        values = latent.detach().to("cpu", torch.float32)
        channels = self.matrix.shape[0] - 1
        if values.ndim == 4 and values.shape[1] == 1:
            values = values[:, 0]
        h, w = height // (2 * self.factor), width // (2 * self.factor)
        if values.shape == (h * w, 4 * channels):  # FLUX and Qwen-Image
            values = values.view(h, w, channels, 2, 2).permute(2, 0, 3, 1, 4).reshape(channels, 2 * h, 2 * w)
        return values if values.ndim == 3 and values.shape[0] == channels else None


def shown_jpeg(rgb: torch.Tensor, width: int, height: int) -> bytes:
    """[3, h, w] in 0 to 1 as a JPEG of at most 64 KiB, in the proportions of `width` x `height` and at most 256 px."""
    pixels = rgb.nan_to_num().clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
    picture = Image.fromarray(pixels.numpy())
    scale = min(1.0, MAX_PREVIEW_SIDE / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return jpeg_of(picture.resize(size, Image.Resampling.BICUBIC))


def fit_previews(vae: Vae | None) -> PreviewFit | None:
    """Fit the matrix for a VAE, or None for a kind of VAE that has no such matrix here. About 0.05 s for a small one.

    Call before hooks move parts between devices; uses no random numbers.
    """
    if not isinstance(vae, (AutoencoderKL, AutoencoderKLQwenImage, AutoencoderDC)):
        return None
    chart = _colour_chart(LARGE_CHART if isinstance(vae, AutoencoderDC) else CHART).to(vae.device, vae.dtype)
    with torch.no_grad():
        latent = _latent(vae, chart)
    small = torch.nn.functional.adaptive_avg_pool2d(chart.float().cpu(), latent.shape[1:])[0]
    known = torch.cat([latent.reshape(latent.shape[0], -1), torch.ones(1, latent[0].numel())]).T
    wanted = (small / 2 + 0.5).reshape(3, -1).T
    if not bool(torch.isfinite(known).all()):
        return None
    # A touch of ridge keeps the matrix small when two channels say the same thing.
    square = known.T @ known + 1e-3 * torch.eye(known.shape[1])
    return PreviewFit(torch.linalg.solve(square, known.T @ wanted), chart.shape[-1] // latent.shape[-1])


def _latent(vae: Vae, chart: torch.Tensor) -> torch.Tensor:
    """The chart as the denoiser would see it, [C, h, w]."""
    if isinstance(vae, AutoencoderDC):
        return vae.encode(chart).latent.float().cpu()[0] * vae.config.scaling_factor
    if isinstance(vae, AutoencoderKLQwenImage):
        latent = vae.encode(chart[:, :, None]).latent_dist.mode().float().cpu()[0, :, 0]
        mean, deviation = (torch.tensor(values)[:, None, None] for values in
                           (vae.config.latents_mean, vae.config.latents_std))  # fmt: skip
        return (latent - mean) / deviation
    latent = vae.encode(chart).latent_dist.mode().float().cpu()[0]
    return (latent - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor


class PredictionTap:
    """Remembers what the last scheduler step took for the finished latents (x0), without computing it again.

    It also hands the images' own `generators` to a step that draws noise where the pipeline forgets to: else it would
    come from torch's global one, and the same seed would give another picture.
    """

    def __init__(self, scheduler: Scheduler, generators: Sequence[torch.Generator] = ()) -> None:
        takes = "generator" in inspect.signature(scheduler.step).parameters
        self._noise = {"generator": list(generators)} if generators and takes else {}
        self._newest: Callable[[], torch.Tensor | None] = lambda: None
        self._scheduler = scheduler
        scheduler.step = self._tapped(scheduler.step)

    def predicted(self) -> torch.Tensor | None:
        """x0 of the last step for the whole batch, or None if this scheduler does not tell."""
        return self._newest()

    def _tapped(self, step: Callable[..., Any]) -> Callable[..., Any]:
        # functools.wraps keeps the signature: pipelines look at it to decide whether to pass eta and generator.
        @functools.wraps(step)
        def tapped(model_output: torch.Tensor, timestep: Any, sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            result = step(model_output, timestep, sample, *args, **{**self._noise, **kwargs})
            self._newest = lambda: self._x0(model_output, sample, result)
            return result

        return tapped

    def _x0(self, model_output: torch.Tensor, sample: torch.Tensor, result: Any) -> torch.Tensor | None:
        scheduler = self._scheduler
        if isinstance(result, tuple) and len(result) > 1:
            return result[1]
        if getattr(scheduler, "model_outputs", None) and scheduler.model_outputs[-1] is not None:
            tells = scheduler.config.get("predict_x0") or str(scheduler.config.get("algorithm_type")).endswith("++")
            return scheduler.model_outputs[-1] if tells else None
        if type(scheduler).__name__ == "FlowMatchEulerDiscreteScheduler":
            sigma = scheduler.sigmas[max(0, scheduler.step_index - 1)].to(sample.device)
            return sample.float() - sigma * model_output.float()
        return None


def _colour_chart(side: int) -> torch.Tensor:
    """[1, 3, side, side] in -1 to 1: a ramp between the corners of the colour cube, and patches of many colours."""
    line = torch.linspace(-1, 1, side)
    chart = torch.stack([line.expand(side, -1), line[:, None].expand(-1, side), -line.expand(side, -1)])
    patch = side // 8
    for i in range(32):
        x, y = (i % 8) * patch, (i // 8) * 2 * patch
        levels = [(i * step % 5) / 2 - 1 for step in (1, 2, 3)]
        chart[:, y : y + patch, x : x + patch] = torch.tensor(levels)[:, None, None]
    return chart[None]


def jpeg_of(picture: Image.Image) -> bytes:
    """A JPEG of at most 64 KiB."""
    for quality in (85, 60, 30):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= MAX_PREVIEW_BYTES:
            break
    return buffer.getvalue()
