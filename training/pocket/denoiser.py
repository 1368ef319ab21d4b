"""The denoiser: an ordinary UNet2DConditionModel, most of it written instead of learned.

It says v of a clean picture that follows from the words and from a seed's numbers, the noise means of its last NUMBERS
channels: the same picture at every time, so any number of steps leads to it. On the way down the numbers are carried to
the cells (16 x 16 pixels), on the way up cells learn where they are; ten transformer layers at the cells look up what
each shows (geometry.py) and put things upon backgrounds (touching.py, learned); the finest level spreads a cell's
numbers over its 2 x 2 latents and puts v together.

One more channel is 1 wherever something is said. An empty prompt's clean latent is 0, so guidance only makes the
picture and this channel larger, and a scheduler with thresholding divides by the latter.
"""

from __future__ import annotations

import torch
from circuit import HEAVY, Channels, pair
from diffusers import UNet2DConditionModel
from geometry import LATENT, PATCH, Plan
from ink import INK, Ink
from layout import NUMBERS
from roles import WIDTH
from schedule import Clock
from starting import SWITCH, keep_start, read_start, say_where
from torch import nn
from touching import Touch

PAINTED = 16  # latent channels that the autoencoder knows
GAIN = PAINTED  # the channel that says by how much all others are too large
FIRST_NUMBER = PAINTED + 1
CHANNELS = FIRST_NUMBER + NUMBERS
LARGEST = 6.0  # the clean latent is divided by this: no number above the gain's
FINE, CELL, LOW = 152, 160, 32  # channels at the finest level, at cells, and below
HEADS = 2
LAYERS = 5  # transformer layers in each of the two attentions
TINY = 0.01  # the noisy picture on its way past the numbers, which are normed
ONE = 20.0  # what counts as a cell on the way to counters: silu of it is itself
FINE_HEAVY, LAST_HEAVY = 3000.0, 8000.0
LOUD = 12.0  # the numbers, so that their norm is theirs however little noise there is
MOMENTS = 384  # numbers that say the time
WRONG = 30.0  # how far a hidden unit of the wrong quarter of a cell is pushed below 0


def empty_unet() -> UNet2DConditionModel:
    """All convolutions and projections 0, so that only what is written happens."""
    unet = UNet2DConditionModel(
        sample_size=32,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=(FINE, CELL, LOW, LOW),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        down_block_types=("DownBlock2D",) * 4,
        mid_block_type="UNetMidBlock2D",
        up_block_types=("UpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=LAYERS,
        attention_head_dim=HEADS,  # diffusers means the number of heads by it
        norm_num_groups=1,
        norm_eps=1e-6,
        time_embedding_dim=MOMENTS,
        resnet_time_scale_shift="scale_shift",
    )
    for module in unet.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.data.zero_()
            if module.bias is not None:
                module.bias.data.zero_()
    return unet


@torch.no_grad()
def build_unet(decode: torch.Tensor, touch: Touch, ink: Ink) -> tuple[UNet2DConditionModel, Channels]:
    """The denoiser for these tables of backgrounds and this way to put things upon them, and what the channels of its
    cells are in the end."""
    unet = empty_unet()
    cells = Channels(CELL)
    cells.add("column", "row", *(f"noise {i}" for i in range(NUMBERS)))
    clock = Clock(unet)
    _numbers_down(unet, cells, clock)
    _counters_up(unet, cells)
    first, second = (attention for attention in unet.up_blocks[2].attentions)
    inputs = list(cells.at.values())
    noise = [cells.at[f"noise {i}"] for i in range(NUMBERS)]
    plan = Plan([*first.transformer_blocks, *second.transformer_blocks], cells, decode)
    plan.write()
    painting = [block.ff for block in second.transformer_blocks[2:]]
    touch.write(painting, cells)
    ink.write(painting[-1], cells)
    for attention in (first, second):
        attention.norm.weight.fill_(cells.scale)
        attention.proj_in.weight[:, :, 0, 0] = torch.eye(CELL)
        attention.proj_in.weight[:, cells.at["zero"], 0, 0] -= 1  # takes back what the norm's mean did
        attention.proj_out.weight[:, :, 0, 0] = torch.eye(CELL)
    first.proj_out.weight[inputs] = 0
    fresh = [cells.at[name] for name in (*LATENT, *INK, "silent")]
    kept = torch.zeros(CELL, dtype=torch.bool)
    kept[fresh] = True
    second.proj_out.weight[~kept] = 0
    between = unet.up_blocks[2].resnets[1].conv_shortcut
    between.weight[:, :CELL, 0, 0] = torch.eye(CELL)
    between.weight[noise] = 0
    _spread(unet, cells, clock)
    _velocity(unet, clock)
    _settle(unet)
    return unet.eval().requires_grad_(False), cells


# channels at the finest level: the noisy picture, numbers, heavy ones, the noisy picture beside what is left clean
NOISY, NUMBER, FINE_ONES, BESIDE = 20, 80, 90, 92


def _constants(layer: nn.Conv2d, first: int, size: float) -> None:
    layer.bias[first], layer.bias[first + 1] = size, -size


def _numbers_down(unet: UNet2DConditionModel, cells: Channels, clock: Clock) -> None:
    """The first norm divides the numbers by their own size, which follows the schedule."""
    start = unet.conv_in
    for number in range(NUMBERS):
        start.weight[2 * number, FIRST_NUMBER + number, 1, 1] = LOUD
        start.weight[2 * number + 1, FIRST_NUMBER + number, 1, 1] = -LOUD
    for channel in range(CHANNELS):
        start.weight[NOISY + 2 * channel, channel, 1, 1] = TINY
        start.weight[NOISY + 2 * channel + 1, channel, 1, 1] = -TINY
    fine, cell = unet.down_blocks[0], unet.down_blocks[1]
    resnet, down = fine.resnets[0], fine.downsamplers[0].conv
    resnet.norm1.weight.fill_((2 * NUMBERS / FINE) ** 0.5)
    for number in range(NUMBERS):
        pair(resnet.conv1, 2 * number, 2 * number, 1.0)
        resnet.conv2.weight[NUMBER + number, 2 * number, 1, 1] = 1
        resnet.conv2.weight[NUMBER + number, 2 * number + 1, 1, 1] = -1
        down.weight[NUMBER + number, NUMBER + number, 1:, 1:] = 0.25
        cell.resnets[0].conv_shortcut.weight[cells.at[f"noise {number}"], NUMBER + number] = 1
    _constants(resnet.conv1, 2 * NUMBERS, FINE_HEAVY)
    read_start(unet, clock, (NOISY, TINY / LOUD), 2 * NUMBERS + 2, BESIDE, PAINTED + 1)
    _constants(resnet.conv2, FINE_ONES, FINE_HEAVY)
    _constants(cell.resnets[0].conv_shortcut, 0, HEAVY)


def _counters_up(unet: UNet2DConditionModel, cells: Channels) -> None:
    """Four convolutions at the lowest level count its cells from the left and upper border, where padding is 0; each
    level above counts finer ones."""
    low = unet.down_blocks[2]
    for layer in (low.resnets[0].conv_shortcut, low.downsamplers[0].conv):
        _constants(layer, 0, FINE_HEAVY)
        _constants(layer, 2, ONE)
    left, upper = (1, 0), (0, 1)
    for resnet, source, first in (
        (unet.down_blocks[3].resnets[0], (2, 2), 4),
        (unet.mid_block.resnets[0], (8, 10), 12),
    ):
        _constants(resnet.conv1, 0, FINE_HEAVY)
        for axis, tap in enumerate((left, upper)):
            pair(resnet.conv1, 4 + 2 * axis, source[axis], 1.0, tap)
            pair(resnet.conv2, first + 2 * axis, 4 + 2 * axis, 1.0)
            pair(resnet.conv2, first + 4 + 2 * axis, 4 + 2 * axis, 1.0, tap)
    start = unet.up_blocks[0].resnets[0].conv_shortcut
    for axis in range(2):
        for channel in (2, *(4 + 4 * shift + 2 * axis for shift in range(4))):
            start.weight[4 + axis, channel] = 1 / ONE
    for block in unet.up_blocks[:2]:
        for resnet in block.resnets:
            if resnet.conv_shortcut is not start:
                resnet.conv_shortcut.weight[4, 4] = resnet.conv_shortcut.weight[5, 5] = 1
        up = block.upsamplers[0].conv.weight
        up[4, 4, 1, 0] = up[4, 4, 1, 1] = up[5, 5, 0, 1] = up[5, 5, 1, 1] = 1
    meet = unet.up_blocks[2].resnets[0].conv_shortcut
    meet.weight[cells.at["column"], 4] = meet.weight[cells.at["row"], 5] = 1
    for number in range(NUMBERS):
        channel = cells.at[f"noise {number}"]
        meet.weight[channel, LOW + channel] = 1
    _constants(meet, 0, HEAVY)


RIGHT, LOWER, SAID, SILENT, SPREAD_ONES, COVERED = (2 * PATCH + 2 * number for number in range(6))  # pairs, and ink
START, NOT_KEPT = 2 * (PAINTED + 1), 4 * (PAINTED + 1)  # pairs: what BESIDE says, where nothing of it is kept


def _spread(unet: UNet2DConditionModel, cells: Channels, clock: Clock) -> None:
    """A cell's numbers to its four latents: which of them one is, is how the counters change beside it."""
    up = unet.up_blocks[2].upsamplers[0].conv
    for number, name in enumerate(LATENT):
        up.weight[2 * number, cells.at[name], 1, 1] = 1
        up.weight[2 * number + 1, cells.at[name], 1, 1] = -1
    for place, counter, (line, column) in ((RIGHT, "column", (1, 0)), (LOWER, "row", (0, 1))):
        for target, sign in ((place, 1), (place + 1, -1)):  # 0 in the right or lower half, -1 in the other
            up.weight[target, cells.at[counter], line, column] = sign
            up.weight[target, cells.at[counter], 1, 1] = -sign
    for place, sign in ((SAID, -1), (SILENT, 1)):
        up.weight[place, cells.at["silent"], 1, 1] = sign
        up.weight[place + 1, cells.at["silent"], 1, 1] = -sign
    for number, name in enumerate(INK):
        up.weight[COVERED + 2 * number, cells.at[name], 1, 1] = 1
        up.weight[COVERED + 2 * number + 1, cells.at[name], 1, 1] = -1
    _constants(up, SAID, 1.0)
    _constants(up, SPREAD_ONES, FINE_HEAVY)
    resnet = unet.up_blocks[3].resnets[0]
    hidden = 2 * PATCH + 4
    for quarter in range(4):
        for place, sign in ((COVERED + 2 * quarter, 1), (COVERED + 2 * quarter + 1, -1)):
            resnet.conv1.weight[hidden + quarter, place, 1, 1] = sign * SWITCH
        _only_in(resnet.conv1, hidden + quarter, quarter, 2 * WRONG)
    free = say_where(unet, clock, hidden, CELL + BESIDE + 2 * GAIN, SILENT, (CELL + FINE_ONES, FINE_HEAVY), NOT_KEPT)
    for unit in range(free, FINE):  # all of a silent picture goes down together, which a norm's mean would take back
        resnet.conv1.weight[unit, SILENT, 1, 1] = WRONG * 2 * PATCH / (FINE - free)
        resnet.conv1.weight[unit, SILENT + 1, 1, 1] = -WRONG * 2 * PATCH / (FINE - free)
    for channel in range(2 * (PAINTED + 1)):
        resnet.conv_shortcut.weight[START + channel, CELL + BESIDE + channel] = 1
    for channel in range(PAINTED):
        for quarter in range(4):
            hidden = 2 * (4 * channel + quarter)
            pair(resnet.conv1, hidden, 2 * (4 * channel + quarter), 1.0)
            for unit in (hidden, hidden + 1):
                _only_in(resnet.conv1, unit, quarter, WRONG)
                resnet.conv1.weight[unit, SILENT, 1, 1] = -WRONG
                resnet.conv1.weight[unit, SILENT + 1, 1, 1] = WRONG
            pair(resnet.conv2, 2 * channel, hidden, 1 / LARGEST)
    pair(resnet.conv1, 2 * PATCH, SAID, 1.0)
    pair(resnet.conv2, 2 * GAIN, 2 * PATCH, 1.0)
    _constants(resnet.conv1, 2 * PATCH + 2, FINE_HEAVY)
    _constants(resnet.conv_shortcut, FINE_ONES, FINE_HEAVY)


def _only_in(layer: nn.Conv2d, unit: int, quarter: int, push: float) -> None:
    """The hidden unit is far below 0 in the other quarters of a cell."""
    for place, wanted in ((RIGHT, quarter % 2), (LOWER, quarter // 2)):
        sign = 1 if wanted else -1
        layer.weight[unit, place, 1, 1] += sign * push
        layer.weight[unit, place + 1, 1, 1] -= sign * push
        layer.bias[unit] -= 0 if wanted else push


def _velocity(unet: UNet2DConditionModel, clock: Clock) -> None:
    """v = x * left / noise - clean / noise: both factors follow from the time."""
    resnet = unet.up_blocks[3].resnets[1]
    for channel in range(CHANNELS):
        pair(resnet.conv1, 2 * channel, FINE + NOISY + 2 * channel, 1 / TINY)
        pair(resnet.conv2, 2 * channel, 2 * channel, 1.0)
        unet.conv_out.weight[channel, 2 * channel, 1, 1] = 1
        unet.conv_out.weight[channel, 2 * channel + 1, 1, 1] = -1
    clean = 2 * CHANNELS
    for channel in range(PAINTED + 1):
        pair(resnet.conv1, clean + 2 * channel, 2 * channel, 1.0)
        pair(resnet.conv2, 2 * channel, clean + 2 * channel, -1.0)
    end = clean + 2 * (PAINTED + 1)
    last = keep_start(unet, clock, end, START, NOT_KEPT, PAINTED)
    _constants(resnet.conv1, last, LAST_HEAVY)
    _constants(resnet.conv_shortcut, FINE_ONES, FINE_HEAVY)
    counts = clock.noise.clone()
    counts[999] *= 10
    clock.factor(resnet, slice(0, clean), clock.left / clock.noise, counts)
    clock.factor(resnet, slice(clean, end), 1 / clock.noise, counts)


def _settle(unet: UNet2DConditionModel) -> None:
    """The other norms give back what comes in, measured once: heavy channels make it the same for every picture."""
    unet.eval()

    def settle(norm: nn.GroupNorm, args: tuple[torch.Tensor, ...]) -> None:
        norm.bias.fill_(args[0].mean())
        norm.weight.fill_(args[0].std((1, 2, 3), correction=0).mean())

    first = unet.down_blocks[0].resnets[0].norm1
    norms = [module for module in unet.modules() if isinstance(module, nn.GroupNorm) and module is not first]
    hooks = [norm.register_forward_pre_hook(settle) for norm in norms]
    noise = torch.randn(2, CHANNELS, 32, 32, generator=torch.Generator().manual_seed(0))
    unet(noise, 999, encoder_hidden_states=torch.zeros(2, 4, WIDTH))
    for hook in hooks:
        hook.remove()
