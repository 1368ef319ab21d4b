"""The denoiser: an ordinary UNet2DConditionModel, learned, with a start that shortens the way.

A seed's noise decides what words leave open: the means of its last NUMBERS channels are the layout's numbers. In
training a scene's own numbers are written into the noise, so words and noise give one picture and nothing is averaged.
The network learns where to look (one head of its cross attention is told which cell of which thing each cell of the
picture shows) and, from what it finds there, to paint.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import torch
from cells import FEATURES, GRID
from diffusers import DDIMScheduler, UNet2DConditionModel
from layout import NUMBERS, Layout
from roles import COLUMNS, FEATURE_PLACES, FREE, LINES, ROLE, STRONG, WIDTH
from torch import nn
from torch.nn import functional

PAINTED = 16  # latent channels that the autoencoder knows
CHANNELS = PAINTED + NUMBERS
HEAD = 64  # dimensions of an attention head
OUTER, INNER, LOW = 128, 192, 128  # channels at the finest level, at cells, and below
STRAY = 12  # positions of words among what it sees in training
ASKED = 6  # numbers of a query: place times sharpness, sharpness, first thing, second thing, none
HINTS = NUMBERS + 5  # numbers of a query that no key answers: they shorten the way there
SHARP, SURE = 12.0, 24.0  # sharpness of a look at a thing of GRID cells; score of the right role
KEY_SHARE = 40.0  # keys are so much larger than queries, for the optimizer
COUNTERS = (8, 9, 10, 11)  # channels that count cells from the left, right, upper and lower border


def new_scheduler() -> DDIMScheduler:
    """The schedule both training and the finished model use."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def new_unet() -> UNet2DConditionModel:
    """An untrained one that already carries the numbers down and what it looks up across."""
    unet = UNet2DConditionModel(
        sample_size=32,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=(OUTER, INNER, LOW, LOW),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("UpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, INNER // HEAD, 2, 2),  # diffusers means the number of heads by it
        norm_num_groups=16,
    )
    _carry_numbers(unet)
    _carry_means(unet)
    _carry_places(unet)
    _carry_features(unet)
    return unet


@torch.no_grad()
def _carry_numbers(unet: UNet2DConditionModel) -> None:
    """The first NUMBERS channels start as the noise's last ones, summed up on the way down."""
    own = slice(0, NUMBERS)

    def only(conv: nn.Conv2d, taps: slice, share: float, first: int = 0) -> None:
        conv.weight[own] = 0
        conv.bias[own] = 0
        for number in range(NUMBERS):
            conv.weight[number, first + number, taps, taps] = share

    only(unet.conv_in, slice(1, 2), 1.0, PAINTED)
    unet.down_blocks[0].resnets[0].conv2.weight.zero_()
    unet.down_blocks[0].resnets[0].conv2.bias.zero_()
    for block in unet.down_blocks:
        for resnet in block.resnets:
            resnet.conv2.weight[own] = 0
            resnet.conv2.bias[own] = 0
            if resnet.conv_shortcut is not None:
                only(resnet.conv_shortcut, slice(0, 1), 1.0)
        for sampler in block.downsamplers or ():
            only(sampler.conv, slice(1, 3), 0.5)


@torch.no_grad()
def _carry_means(unet: UNet2DConditionModel) -> None:
    """At the lowest level one head starts by averaging the numbers into channels of their own."""
    whole = unet.mid_block.attentions[0]
    block = whole.transformer_blocks[0]
    own, made = slice(0, NUMBERS), slice(16, 16 + NUMBERS)
    first = unet.mid_block.resnets[0]
    for conv in (first.conv2, unet.mid_block.resnets[1].conv2):
        conv.weight[:24] = 0
        conv.bias[:24] = 0
    for layer in (whole.proj_in, whole.proj_out):
        layer.weight[:24] = 0
        layer.bias[:24] = 0
        for channel in range(24):
            layer.weight[channel, channel, 0, 0] = 1
    head = block.attn1.to_q.out_features // block.attn1.heads
    block.attn1.to_q.weight[:head] = 0
    block.attn1.to_v.weight[own] = 0
    block.attn1.to_v.weight[own, own] = 4 * torch.eye(NUMBERS)
    out = block.attn1.to_out[0]
    out.weight[:24] = 0
    out.bias[:24] = 0
    out.weight[made, own] = torch.eye(NUMBERS)
    for layer in (block.attn2.to_out[0], block.ff.net[2]):
        layer.weight[:24] = 0
        layer.bias[:24] = 0


@torch.no_grad()
def _carry_places(unet: UNet2DConditionModel) -> None:
    """What the lowest level knows goes up as it is; four channels that count cells from a border count finer ones."""
    for block in unet.up_blocks[:3]:
        for resnet in block.resnets:
            shortcut = resnet.conv_shortcut.weight[:, :, 0, 0]
            same = min(len(shortcut), INNER if len(shortcut) == INNER else LOW)
            shortcut[:same] *= 0.1
            shortcut[:same, :same] += torch.eye(same)
    for block in unet.up_blocks[:2]:
        conv = block.upsamplers[0].conv
        conv.weight.mul_(0.1)
        for channel in range(len(conv.weight)):
            conv.weight[channel, channel, 1, 1] = 1
        for channel, (line, column) in zip(COUNTERS, ((1, 0), (1, 2), (0, 1), (2, 1)), strict=True):
            conv.weight[channel] = 0
            conv.bias[channel] = 0
            conv.weight[channel, channel, 1, 1] = conv.weight[channel, channel, line, column] = 0.5


@torch.no_grad()
def _carry_features(unet: UNet2DConditionModel) -> None:
    """The looking head's keys are places; its values start as the features themselves."""
    lookup = looking(unet)
    lookup.to_v.weight[:FEATURES] = 0
    lookup.to_v.weight[:FEATURES, FEATURE_PLACES] = torch.eye(FEATURES)
    out = lookup.to_out[0]
    out.weight[:FEATURES] = 0
    out.bias[:FEATURES] = 0
    out.weight[:FEATURES, :FEATURES] = torch.eye(FEATURES)
    keys = lookup.to_k.weight
    keys[:HEAD] = 0
    at = torch.arange(GRID) - (GRID - 1) / 2
    keys[0, COLUMNS], keys[1, LINES] = at / STRONG, at / STRONG
    keys[2, COLUMNS] = keys[2, LINES] = -at.square() / 2 / STRONG
    for number in range(3):
        keys[3 + number, ROLE.start + number] = 1 / STRONG
    keys[:HEAD] *= KEY_SHARE


def looking(unet: UNet2DConditionModel) -> nn.Module:
    """The cross attention whose first head is told where to look."""
    return unet.up_blocks[2].attentions[0].transformer_blocks[0].attn2


class Glance:
    """Keeps the looking head's queries of the latest forward pass: (b, cells, HEAD)."""

    def __init__(self, unet: UNet2DConditionModel, stop: bool = False) -> None:
        self.lookup, self.stop = looking(unet), stop
        self.share = KEY_SHARE * HEAD**-0.5  # of a query in its scores, for the keys that places start with
        self.queries = torch.empty(0)
        self.hook = self.lookup.register_forward_pre_hook(self._see, with_kwargs=True)

    def _see(self, module: nn.Module, args: tuple, named: dict) -> None:
        hidden = args[0] if args else named["hidden_states"]
        self.queries = functional.linear(hidden, module.to_q.weight[:HEAD]).float()
        if self.stop:
            raise Found


class Found(Exception):
    """Ends a forward pass where the rest is not needed."""


def coupled(noise: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """The noise (b, CHANNELS, h, w) with these numbers (b, NUMBERS) in it; as normal as it was when they are."""
    room = noise.shape[-1] * noise.shape[-2]
    own = noise[:, PAINTED:]
    own = own - own.mean((2, 3), keepdim=True) + (numbers / room**0.5)[:, :, None, None]
    return torch.cat([noise[:, :PAINTED], own], 1)


def asked(layout: Layout, numbers: np.ndarray, columns: int, rows: int) -> torch.Tensor:
    """(rows * columns, ASKED + HINTS): what each cell of the picture should ask for; then, seen by nobody, what leads
    there: the numbers, where the cell is, and where that is seen from the nearest copy."""
    out = torch.zeros(rows, columns, ASKED + HINTS)
    out[..., 5] = SURE
    out[..., ASKED : ASKED + NUMBERS] = torch.from_numpy(numbers)
    x, y = (torch.arange(size) + 0.5 - size / 2 for size in (columns, rows))
    x, y = x.expand(rows, columns), y[:, None].expand(rows, columns)
    out[..., -5], out[..., -4] = x / GRID, y / GRID
    nearest = torch.full((rows, columns), 1e9)
    for copy in layout.copies:
        middle = (copy.left + (copy.side - columns) / 2, copy.top + (copy.side - rows) / 2)
        off = torch.stack([x - middle[0], y - middle[1]], -1) * GRID / copy.side
        far = off.abs().amax(-1)
        here = far < nearest
        seen = torch.cat([off.clamp(-GRID, GRID) / 4, torch.full((rows, columns, 1), copy.side / GRID)], -1)
        out[..., -3:] = torch.where(here[..., None], seen, out[..., -3:])
        nearest = torch.minimum(nearest, far)
        along = (torch.arange(copy.side) + 0.5) * GRID / copy.side - GRID / 2
        sharp = SHARP * min(1.0, copy.side / GRID) ** 2
        box = out[copy.top : copy.top + copy.side, copy.left : copy.left + copy.side]
        box[..., 0], box[..., 1], box[..., 2] = sharp * along, sharp * along[:, None], sharp
        box[..., 3 + copy.thing], box[..., 5] = SURE, 0
    return out.flatten(0, 1)


@dataclass(frozen=True)
class Lesson:
    """A batch: latents (b, 16, h, w), numbers, what the text encoder says, what cells ask (b, cells, ASKED + HINTS)."""

    latents: torch.Tensor
    numbers: torch.Tensor
    said: torch.Tensor
    asked: torch.Tensor

    def to(self, where: torch.device) -> Lesson:
        """The same there."""
        return Lesson(*(part.to(where) for part in (self.latents, self.numbers, self.said, self.asked)))


def among_words(said: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """With STRAY positions of words before it, which say anything."""
    stray = said.new_zeros(len(said), STRAY, WIDTH)
    stray[..., :FREE] = torch.from_numpy(rng.normal(0, rng.uniform(0.2, 1.5), (len(said), STRAY, FREE))).to(said)
    return torch.cat([stray, said], 1)


def drawn_times(count: int, rng: np.random.Generator) -> torch.Tensor:
    """Timesteps 0-999: half of them the first, where the layout is decided."""
    return torch.from_numpy(np.where(rng.random(count) < 0.5, 999, rng.integers(1000, size=count)))


def losses(
    unet: UNet2DConditionModel, scheduler: DDIMScheduler, lesson: Lesson, rng: np.random.Generator, glance: Glance
) -> tuple[torch.Tensor, torch.Tensor]:
    """How wrong the looking head looks (mean square, 1 is a cell), and how wrong the velocity is (mean square)."""
    b, _, h, w = lesson.latents.shape
    clean = torch.cat([lesson.latents, lesson.latents.new_zeros(b, NUMBERS, h, w)], 1)
    noise = coupled(torch.randn_like(clean), lesson.numbers)
    times = drawn_times(b, rng).to(clean.device) if not glance.stop else torch.full((b,), 999, device=clean.device)
    noisy = scheduler.add_noise(clean, noise, times).to(memory_format=torch.channels_last)
    velocity = None
    with contextlib.suppress(Found):
        velocity = unet(noisy, times, encoder_hidden_states=among_words(lesson.said, rng)).sample
    made, hints = glance.queries[..., :ASKED] * glance.share, glance.queries[..., ASKED : ASKED + HINTS]
    look = ((made - lesson.asked[..., :ASKED]) / SHARP).square().mean()
    look = look + 0.3 * (hints - lesson.asked[..., ASKED:]).square().mean()
    if velocity is None:
        return look, torch.zeros((), device=look.device)
    target = scheduler.get_velocity(clean, noise, times)
    error = (velocity.float() - target).square().mean((0, 2, 3))
    return look, error[:PAINTED].mean() + 0.02 * error[PAINTED:].mean()
