"""The denoiser before its training: built so that it copies the text encoder's features and goes up linearly.

At pure noise the prediction of a v-predicting model is minus the picture, so a denoiser that copies the features to its
8x8 grid and sends them through its shortcuts and upsampling convolutions is right from the first step about everything
the text encoder knows. What it needs for that and cannot be given (which cell a query stands at: only the zero padding
of the convolutions tells) is trained first, in a minute, with the text encoder's position numbers as keys. The branches
of the residual blocks start small; training makes of them what noise and detail need.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from cache import Scenes
from codes import CELLS, FEATURES, FIRST_FEATURE, FREE, WIDTH
from common import LATENT_CHANNELS, LATENT_SIDE, Preset, Progress, device, learning_rate
from diffusers import UNet2DConditionModel
from features import SIGNALS, Features
from text import POSITION_OUT
from torch import nn
from torch.nn import functional

HEAD = 64  # dimensions of an attention head: one a cell
GROUP = 8  # channels of a normalization group
STEADY = 6.0  # constant channels that make the last group norm scale every picture alike
SURE = 12.0  # attention score the right cell should have over everything else


def new_unet(preset: Preset) -> UNet2DConditionModel:
    """An untrained denoiser for 16x16x16 latents; it looks at the text at 8x8, where the layout is."""
    channels = preset.unet_channels
    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=channels,
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=channels[1] // HEAD,  # diffusers means the number of heads by it
        norm_num_groups=channels[0] // GROUP,
    )


def _quiet(layer: nn.Module, rows: slice) -> None:
    layer.weight[rows] = 0
    if layer.bias is not None:
        layer.bias[rows] = 0


def _pass_on(resnet: nn.Module, rows: int, branch: float) -> None:
    """The shortcut hands the first `rows` channels on as they are; the branch starts at a share of its size."""
    shortcut = resnet.conv_shortcut
    _quiet(shortcut, slice(0, rows))
    shortcut.weight[:rows, :rows, 0, 0] = torch.eye(rows)
    resnet.conv2.weight[:rows] *= branch
    resnet.conv2.bias[:rows] = 0


@torch.no_grad()
def build_copying(unet: UNet2DConditionModel, features: Features) -> None:
    """Write copying and the linear way up into an untrained denoiser."""
    for name, weight in unet.named_parameters():
        if name.endswith(("conv2.weight", "ff.net.2.weight", "attn1.to_out.0.weight", "proj_out.weight")):
            weight.mul_(0.3)
    grid, fine = unet.up_blocks[1:]
    _build_lookup(grid, features)
    _pass_on(grid.resnets[1], grid.resnets[1].conv_shortcut.weight.shape[0], 0.2)
    later = grid.attentions[1].proj_out
    later.weight[:FEATURES] *= 0.1
    later.bias[:FEATURES] = 0
    up = grid.upsamplers[0].conv
    _quiet(up, slice(0, SIGNALS))
    up.weight[:SIGNALS, :FEATURES], up.bias[:SIGNALS] = features.up.weight, features.up.bias
    _pass_on(fine.resnets[0], SIGNALS, 0.2)
    _build_end(unet, fine.resnets[1], features)


def _build_lookup(block: nn.Module, features: Features) -> None:
    """The first cross attention at 8x8 puts the features of the query's cell into the first FEATURES channels."""
    own = slice(0, FEATURES)
    _quiet(block.resnets[0].conv2, own)
    _quiet(block.resnets[0].conv_shortcut, own)
    attention = block.attentions[0]
    _quiet(attention.proj_in, own)
    inner = attention.transformer_blocks[0]
    _quiet(inner.attn1.to_out[0], own)
    _quiet(inner.ff.net[2], own)
    lookup = inner.attn2
    lookup.to_k.weight.zero_()
    for first in range(0, len(lookup.to_k.weight), HEAD):
        lookup.to_k.weight[first : first + CELLS, FREE : FREE + CELLS] = torch.eye(CELLS)
    lookup.to_v.weight.normal_(0, 0.03)
    _quiet(lookup.to_v, own)
    lookup.to_v.weight[own, FIRST_FEATURE : FIRST_FEATURE + FEATURES] = torch.eye(FEATURES)
    out = lookup.to_out[0]
    out.weight.mul_(0.3)
    _quiet(out, own)
    out.weight[own, own] = torch.eye(FEATURES)
    _quiet(attention.proj_out, own)
    attention.proj_out.weight[own, own, 0, 0] = torch.diag(features.deviation)
    attention.proj_out.bias[own] = features.mean


def _build_end(unet: UNet2DConditionModel, resnet: nn.Module, features: Features) -> None:
    """Each signal as x and -x, since silu(x) - silu(-x) = x; constants keep the norm's scale the same."""
    shortcut, norm, out = resnet.conv_shortcut, unet.conv_norm_out, unet.conv_out
    shortcut.weight.zero_()
    shortcut.bias.zero_()
    resnet.conv2.weight.mul_(0.2)
    resnet.conv2.bias.zero_()
    out.weight.zero_()
    norm.weight.fill_(STEADY * (2 / GROUP) ** 0.5)
    norm.bias.zero_()
    for group in range(norm.num_groups):
        shortcut.bias[GROUP * group + GROUP - 2] = STEADY
        shortcut.bias[GROUP * group + GROUP - 1] = -STEADY
    pairs = GROUP // 2 - 1
    for signal in range(SIGNALS):
        channel = GROUP * (signal // pairs) + 2 * (signal % pairs)
        size = features.signal[signal]
        for sign, place in ((1, channel), (-1, channel + 1)):
            shortcut.weight[place, signal] = sign / size
            out.weight[:, place] = -sign * size * features.last.weight[:, signal]
    out.bias.copy_(-features.last.bias)


class _Stop(Exception):
    """Ends a forward pass where the rest is not needed."""


def teach_positions(unet: UNet2DConditionModel, scenes: Scenes, preset: Preset, seed: int) -> None:
    """Train the lookup's queries to find their own cell, whatever the picture and the noise."""
    where = device()
    lookup = unet.up_blocks[1].attentions[0].transformer_blocks[0].attn2
    heads = lookup.to_q.weight.shape[0] // HEAD
    seen: dict[str, torch.Tensor] = {}

    def stop(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen["at"] = args[0] if args else named["hidden_states"]
        raise _Stop

    hook = lookup.register_forward_pre_hook(stop, with_kwargs=True)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=2e-3, betas=(0.9, 0.98))
    progress = Progress("positions", preset.position_steps, 6)
    right = torch.arange(CELLS, device=where)
    for step in range(preset.position_steps):
        rng = np.random.default_rng((seed, step))
        torch.manual_seed(int(rng.integers(2**31)))
        optimizer.param_groups[0]["lr"] = learning_rate(step, preset.position_steps, 2e-3, warm=20)
        latents = torch.from_numpy(scenes.latents[rng.integers(len(scenes), size=6)].astype(np.float32))
        times = torch.from_numpy(rng.integers(1000, size=6))
        share = (times / 1000).view(-1, 1, 1, 1)
        noisy = share * torch.randn_like(latents) + (1 - share) * latents
        with contextlib.suppress(_Stop):
            unet(noisy.to(where), times.to(where), encoder_hidden_states=0.3 * torch.randn(6, 4, WIDTH, device=where))
        scores = lookup.to_q(seen["at"]).view(6, CELLS, heads, HEAD).transpose(1, 2) * POSITION_OUT / HEAD**0.5
        loss = functional.cross_entropy(scores.reshape(-1, CELLS), right.repeat(6 * heads))
        loss = loss + 0.02 * functional.relu(SURE - scores.diagonal(dim1=2, dim2=3)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        progress.tell(step + 1, {"loss": loss.item()})
    hook.remove()
