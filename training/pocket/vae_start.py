"""A head start for the autoencoder: before any training it already shrinks and enlarges the colours.

From a usual random start thousands of steps go into finding out that a red latent should become a red pixel.
Here RGB and its negative travel through the identity paths of both halves (silu(x) - silu(-x) = x undoes the last
non-linearity), the residual branches start small, and training only adds the detail.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import nn

CARRIED = 6  # red, green, blue and their negatives


def _identity(conv: nn.Conv2d, taps: slice, share: float) -> None:
    """The first CARRIED channels pass through the taps unmixed."""
    conv.weight[:CARRIED] = 0
    conv.bias[:CARRIED] = 0
    for channel in range(CARRIED):
        conv.weight[channel, channel, taps, taps] = share


def _first(conv: nn.Conv2d) -> None:
    """Three inputs become CARRIED channels: themselves and their negatives."""
    conv.weight[:CARRIED] = 0
    conv.bias[:CARRIED] = 0
    for channel in range(3):
        conv.weight[channel, channel, 1, 1] = 1
        conv.weight[channel + 3, channel, 1, 1] = -1


def _last(conv: nn.Conv2d, gain: float) -> None:
    """Three outputs read back from CARRIED channels."""
    conv.weight[:3] = 0
    conv.bias[:3] = 0
    for channel in range(3):
        conv.weight[channel, channel, 1, 1] = gain
        conv.weight[channel, channel + 3, 1, 1] = -gain


@torch.no_grad()
def start_as_thumbnail(vae: AutoencoderKL) -> None:
    """Set the weights so that the latent begins as a 4x smaller picture and the decoder enlarges it."""
    for name, module in vae.named_modules():
        if name.endswith("conv2"):
            module.weight.mul_(0.2)
            module.bias.zero_()
        elif name.endswith("conv_shortcut"):
            _identity(module, slice(0, 1), 1.0)
        elif name.endswith("downsamplers.0.conv"):
            _identity(module, slice(0, 2), 0.25)
        elif name.endswith("upsamplers.0.conv"):
            _identity(module, slice(1, 2), 1.0)
    _first(vae.encoder.conv_in)
    _first(vae.decoder.conv_in)
    _last(vae.encoder.conv_out, 0.5)
    _last(vae.decoder.conv_out, 0.45)
    channels = vae.config.latent_channels
    vae.quant_conv.weight[:] = torch.eye(2 * channels)[:, :, None, None]
    vae.quant_conv.bias.zero_()
    vae.encoder.conv_out.weight[channels:].mul_(0.1)
    vae.encoder.conv_out.bias[channels:] = -4.0
    vae.post_quant_conv.weight[:] = torch.eye(channels)[:, :, None, None]
    vae.post_quant_conv.bias.zero_()
