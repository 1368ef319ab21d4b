"""Live previews: latents to a small picture by one matrix, a dozen multiplications a latent pixel.

The matrix is fitted once per VAE, by least squares on a colour chart that the VAE itself encodes, so it works for
any number of channels. What is shown is the predicted end result, not the noisy latent: readable from early on.
"""

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL
from PIL import Image

from app.diffusion.kinds import Scheduler, Vae

MAX_PREVIEW_BYTES = 64 * 1024
MAX_PREVIEW_SIDE = 256
CHART_SIDE = 128


@dataclass(frozen=True)
class PreviewFit:
    """`rgb = [latent channels, 1] @ matrix`, values 0 to 1."""

    matrix: torch.Tensor

    def jpeg(self, latent: torch.Tensor, width: int, height: int) -> bytes:
        """A JPEG of at most 64 KiB and 256 px, in the picture's proportions. `latent` is one row, [C, h, w]."""
        values = latent.detach().to("cpu", torch.float32)
        flat = values.reshape(values.shape[0], -1).T
        rgb = flat @ self.matrix[:-1] + self.matrix[-1]
        pixels = rgb.nan_to_num().clamp(0, 1).mul(255).round().to(torch.uint8).reshape(*values.shape[1:], 3)
        picture = Image.fromarray(pixels.numpy())
        scale = min(1.0, MAX_PREVIEW_SIDE / max(width, height))
        picture = picture.resize(
            (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BICUBIC
        )
        return _jpeg(picture)


def fit_previews(vae: Vae | None) -> PreviewFit | None:
    """Fit the matrix for a VAE, or None for a kind of VAE that has no such matrix here. About 0.05 s for a small one.

    Call before hooks move parts between devices; uses no random numbers.
    """
    if not isinstance(vae, AutoencoderKL):
        return None
    chart = _colour_chart().to(vae.device, vae.dtype)
    with torch.no_grad():
        latent = vae.encode(chart).latent_dist.mode().float().cpu()[0]
    latent = (latent - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor
    small = torch.nn.functional.adaptive_avg_pool2d(chart.float().cpu(), latent.shape[1:])[0]
    known = torch.cat([latent.reshape(latent.shape[0], -1), torch.ones(1, latent[0].numel())]).T
    wanted = (small / 2 + 0.5).reshape(3, -1).T
    if not bool(torch.isfinite(known).all()):
        return None
    # A touch of ridge keeps the matrix small when two channels say the same thing.
    square = known.T @ known + 1e-3 * torch.eye(known.shape[1])
    return PreviewFit(torch.linalg.solve(square, known.T @ wanted))


class PredictionTap:
    """Remembers what the last scheduler step took for the finished latents (x0), without computing it again."""

    def __init__(self, scheduler: Scheduler) -> None:
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
            result = step(model_output, timestep, sample, *args, **kwargs)
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


def _colour_chart() -> torch.Tensor:
    """[1, 3, 128, 128] in -1 to 1: a ramp between the corners of the colour cube, and flat patches of many colours."""
    side = torch.linspace(-1, 1, CHART_SIDE)
    chart = torch.stack(
        [side.expand(CHART_SIDE, -1), side[:, None].expand(-1, CHART_SIDE), -side.expand(CHART_SIDE, -1)]
    )
    for i in range(32):
        x, y = (i % 8) * 16, (i // 8) * 32
        levels = [(i * step % 5) / 2 - 1 for step in (1, 2, 3)]
        chart[:, y : y + 16, x : x + 16] = torch.tensor(levels)[:, None, None]
    return chart[None]


def _jpeg(picture: Image.Image) -> bytes:
    for quality in (85, 60, 30):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= MAX_PREVIEW_BYTES:
            break
    return buffer.getvalue()
