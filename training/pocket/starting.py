"""What of a picture to start from is kept: written into the denoiser's finest level, like classical shrinkage.

The noisy picture beside the noise is the clean latent of the words plus noise where nothing was given, and shows
another picture where one was. What differs from the words' by more than the noise explains is kept, smoothed and, while
there is little noise, sharp. Where the words have their thing they win, more so the later; of a silent prompt nothing
is kept, nor where the gain tells of guidance that the sampler does not take back, which would add up.
"""

from __future__ import annotations

import torch
from circuit import pair
from diffusers import UNet2DConditionModel
from schedule import Clock

STEEP = 8.0  # a hidden unit rises so steeply above what is kept
SWITCH = 20.0  # the same of the units that say where nothing is kept
AGAINST = 1.2  # by how much more a latent has to differ where nothing is to be kept
LOUD = 100.0  # what says where nothing is kept: only what is above 0 counts, and below it is never quite 0
FINER = 256.0
FAINT = 0.01  # the noisy picture beside the noise, on its way
LOW_NOISE, HIGH_NOISE = 0.375, 0.83  # of what is smoothed, and of the rest: what single latents have being 1
SURE_LOW, SURE_HIGH = 3.3, 3.5  # deviations that chance is not believed
LOUDEST = 0.5  # noise beside the clean latent from which on nothing is read
WINS = (180, 430)  # times between which the words' thing comes through
GUIDED = 0.15  # how far from 1 the gain is where guidance was not taken back
SMOOTH = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16


@torch.no_grad()
def read_start(
    unet: UNet2DConditionModel, clock: Clock, noisy: tuple[int, float], units: int, target: int, channels: int
) -> None:
    """In the first layer: `channels` pairs from `target` on say the noisy picture beside what of it is left clean.

    `noisy` is the first pair of the picture and how much of it, over the size of its noise, comes out of the first
    norm; hidden units from `units` on are free.
    """
    resnet = unet.down_blocks[0].resnets[0]
    wanted = clock.ratio.clamp(max=LOUDEST)
    missing, scale = wanted, 1.0
    for _ in range(2):  # what float16 leaves wrong in the first factor is put right by the second
        for channel in range(channels):
            pair(resnet.conv1, units + 2 * channel, noisy[0] + 2 * channel, FAINT / noisy[1])
            pair(resnet.conv2, target + 2 * channel, units + 2 * channel, scale / FAINT)
        made = clock.factor(resnet, slice(units, units + 2 * channels), missing / scale, 1 / wanted)
        missing, scale, units = missing - scale * made, scale / FINER, units + 2 * channels


@torch.no_grad()
def say_where(
    unet: UNet2DConditionModel, clock: Clock, units: int, gain: int, silent: int, ones: tuple[int, float], target: int
) -> int:
    """In the first layer behind the cells: the pair at `target` says where nothing is kept.

    Hidden units from `units` on are free, of which the caller has written the first four; `gain` is the pair that
    read_start made of the gain, `silent` the one of silence; `ones` is a channel that is the same everywhere, and how
    large. Seven more units only take these back in the norm's mean. Returns the next free hidden unit.
    """
    resnet = unet.up_blocks[3].resnets[0]
    early, late = WINS
    share = ((torch.arange(len(clock.noise)) - early) / (late - early)).clamp(0, 1).double()
    clock.factor(resnet, slice(units, units + 4), share.square() * (3 - 2 * share), torch.ones_like(share))
    hush, guided = units + 4, units + 5
    resnet.conv1.weight[hush, silent, 1, 1], resnet.conv1.weight[hush, silent + 1, 1, 1] = SWITCH, -SWITCH
    channel, size = ones
    for unit, sign in ((guided, 1), (guided + 1, -1)):
        resnet.conv1.weight[unit, gain] = sign * SWITCH * SMOOTH
        resnet.conv1.weight[unit, gain + 1] = -sign * SWITCH * SMOOTH
        resnet.conv1.weight[unit, channel] = -SWITCH * (sign + GUIDED) / size * SMOOTH
    noise = SURE_LOW * LOW_NOISE * clock.ratio.clamp(max=1.0)
    clock.shift(resnet, slice(guided, guided + 2), -SWITCH * noise, torch.ones_like(noise))
    for unit in range(units, units + 7):
        resnet.conv1.weight[unit + 7], resnet.conv1.bias[unit + 7] = (
            -resnet.conv1.weight[unit],
            -resnet.conv1.bias[unit],
        )
        resnet.conv2.weight[target, unit, 1, 1] = LOUD / SWITCH
        resnet.conv2.weight[target + 1, unit, 1, 1] = -LOUD / SWITCH
    return units + 14


@torch.no_grad()
def keep_start(unet: UNet2DConditionModel, clock: Clock, units: int, start: int, against: int, channels: int) -> int:
    """In the last layer: adds what is kept to v, whose pairs and the words' are the first `channels` ones; `start` is
    the first pair of what read_start says, `against` the pair of say_where. Returns the next free hidden unit."""
    resnet = unet.up_blocks[3].resnets[1]
    once = torch.zeros(3, 3)
    once[1, 1] = 1
    larger = 1 / clock.noise
    for kernel, noise in ((SMOOTH, SURE_LOW * LOW_NOISE), (once - SMOOTH, SURE_HIGH * HIGH_NOISE)):
        first = units
        for channel in range(channels):
            for sign in (1, -1):
                row = resnet.conv1.weight[units]
                row[start + 2 * channel] += sign * STEEP * kernel
                row[start + 2 * channel + 1] -= sign * STEEP * kernel
                row[2 * channel] -= sign * STEEP * kernel
                row[2 * channel + 1] += sign * STEEP * kernel
                row[against, 1, 1] -= STEEP * AGAINST / LOUD
                for place, way in ((2 * channel, -1), (2 * channel + 1, 1)):
                    resnet.conv2.weight[place, units, 1, 1] += way * sign / STEEP
                units += 1
        own = slice(first, units)
        clock.factor(resnet, own, larger, clock.noise)
        least = noise * clock.ratio
        least = torch.where(clock.ratio < LOUDEST / 2, least, least + 8 * (clock.ratio.clamp(max=1.0) - LOUDEST / 2))
        clock.shift(resnet, own, -STEEP * (larger * least).clamp(max=12.0), torch.ones_like(least))
    for unit in (units, units + 1):  # all others go down together, which a norm's mean would take back
        resnet.conv1.weight[unit, against, 1, 1] = STEEP * AGAINST * 2 * channels / LOUD
    return units + 2
