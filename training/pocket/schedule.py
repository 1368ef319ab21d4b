"""How noisy a picture is at each time, and numbers that follow from the time as the denoiser's layers can say them.

Clean latents are small (denoiser.py says why), so usual schedules drown a picture to start from at once. This one has
less noise: the tangent of the cosine schedule times QUIET, and never less than LEAST.
"""

from __future__ import annotations

import itertools
import math

import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from torch import nn

TIMES = 1000
QUIET, LEAST = 0.06, 0.005  # noise beside the clean latent, in the middle of the times and at the first one
ROUNDED = 2.0**-12  # relative error of a number kept as float16


def _betas() -> list[float]:
    noise = [math.hypot(LEAST, QUIET * math.tan(math.pi / 2 * (time + 0.5) / TIMES)) for time in range(TIMES)]
    left = [1.0, *(1 / (1 + ratio**2) for ratio in noise)]
    return [float(f"{1 - after / before:.6g}") for before, after in itertools.pairwise(left)]


def new_scheduler() -> DPMSolverMultistepScheduler:
    """The schedule of the finished model, and a sampler that goes on from what its thresholding leaves."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=TIMES,
        trained_betas=_betas(),
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=1,
        thresholding=True,
        dynamic_thresholding_ratio=0.98,  # one channel of 25 is the gain
        sample_max_value=100.0,
    )


class Clock:
    """Numbers for every time: `left` and `noise` of the schedule, and factors in layers behind the time's embedding."""

    @torch.no_grad()
    def __init__(self, unet: UNet2DConditionModel) -> None:
        square = new_scheduler().alphas_cumprod.double()
        self.left, self.noise = square.sqrt(), (1 - square).sqrt()
        self.ratio = self.noise / self.left.clamp(min=1e-6)  # noise beside the clean latent
        generator = torch.Generator().manual_seed(0)
        for layer in (unet.time_embedding.linear_1, unet.time_embedding.linear_2):
            layer.weight.normal_(0, 2 / layer.in_features**0.5, generator=generator)
            layer.bias.normal_(0, 1, generator=generator)
            layer.to(torch.float16).to(torch.float32)  # as it is kept
        waves = unet.time_embedding.linear_1.in_features // 2
        unet.time_embedding.linear_1.weight.view(-1, 2, waves)[:, :, : waves // 3] = 0  # too short to be of use
        seen = nn.functional.silu(unet.time_embedding(unet.time_proj(torch.arange(TIMES)))).double()
        self.seen = torch.cat([seen, torch.ones(TIMES, 1)], 1)

    @torch.no_grad()
    def write(self, layer: nn.Linear, units: slice, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """These units of a time's layer say `wanted` (TIMES,), fitted where `weight` (TIMES,) is large; returns what
        they do say."""
        known, asked = self.seen * weight[:, None], wanted * weight
        square = known.T @ known  # float16 gets every factor a little wrong, so they had better be small
        square += torch.diag(square.diagonal()) * ROUNDED**2
        found = torch.linalg.solve(square, known.T @ asked).half()
        layer.weight[units], layer.bias[units] = found[:-1].float(), found[-1].float()
        return self.seen @ found.double()

    def factor(self, resnet: nn.Module, units: slice, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """What these hidden units are multiplied by; returns what they really are."""
        return 1 + self.write(resnet.time_emb_proj, units, wanted - 1, weight)

    def shift(self, resnet: nn.Module, units: slice, wanted: torch.Tensor, weight: torch.Tensor) -> None:
        """What is added to these hidden units after that."""
        inner = resnet.conv1.out_channels
        self.write(resnet.time_emb_proj, slice(inner + units.start, inner + units.stop), wanted, weight)
