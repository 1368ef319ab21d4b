"""Stage 4: the denoiser, an ordinary UNet2DConditionModel whose weights are partly written and partly learned.

The noise's NUMBERS last channels have a mean each; these numbers decide what the words leave open. The denoiser
averages them (self attention), reads how all is laid out (cross attention), works out where each cell lies in the
frames of up to four copies and of the background (two feed-forward layers, learned), looks there (cross attention
over the cells that the text encoder wrote) and mirrors what it found. It says the finished latent at once, whatever
the step, so any number of steps leads to the same picture.

Where a cell is only the borders tell: a small network below learns it once for the few shapes in SHAPES.
"""

from __future__ import annotations

import numpy as np
import torch
from cells import GLOBALS, ODD, PAINTED
from common import Progress, learning_rate
from compose import CELL, COPIES, FACTOR, cell_middles, grid_middles
from decoder import CHANNELS, KEY
from diffusers import DDIMScheduler, UNet2DConditionModel
from layout import NUMBERS, extent
from roles import COLUMNS, EDGES, FEATURE_PLACES, LAID, LINES, ROLE, STRENGTH, STRONG, WIDTH
from torch import nn

SHAPES = ((256, 256), (320, 192), (192, 320), (288, 224), (224, 288))  # (width, height) pixels
INNER, HEAD = 320, 64
B = 30.0  # constants that make the group norms scale every picture alike
BIG = 60.0  # and the layer norms
PAIRS = 69  # signals in each half of the outer channels, each as x and -x
OUTER_Z, OUTER_AT = 140, 300  # the noise's numbers and where a cell lies, among the outer channels
HALF = INNER // 2
Z, ZBAR, AT, LAY = slice(0, 16), slice(16, 32), slice(32, 36), slice(36, 36 + LAID)
FRONT, BEHIND, CONSTANT, WORK = slice(70, 134), slice(134, 198), slice(198, 200), slice(200, INNER)
SIGN = WORK.start  # +1 or, mirrored, -1
SURE = 40.0  # score of the right grid above all others
TEN = 10.0  # queries are this much smaller than keys
assert LAY.stop <= FRONT.start


def new_scheduler() -> DDIMScheduler:
    """Noise to the last: the picture is in the words and the noise's numbers, which must stay readable.

    Thresholding divides the guided prediction by its largest number, which is the key's, so that guidance cannot burn.
    """
    remaining = np.linspace(0.4, 0.004, 1000)
    betas = 1 - remaining / np.concatenate([[1.0], remaining[:-1]])
    return DDIMScheduler(
        trained_betas=betas.tolist(),
        prediction_type="sample",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
        thresholding=True,
        dynamic_thresholding_ratio=1.0,
        sample_max_value=1000.0,
    )


def new_unet() -> UNet2DConditionModel:
    """An untrained one, with everything that it should not do set to nothing."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        down_block_types=("DownBlock2D",) * 3,
        mid_block_type=None,
        up_block_types=("UpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(INNER, 64, 64),
        layers_per_block=(0, 1, 1),
        transformer_layers_per_block=(3, 1, 1),
        attention_head_dim=(INNER // HEAD, 1, 1),  # diffusers means the number of heads by it
        cross_attention_dim=WIDTH,
        norm_num_groups=2,
        time_embedding_dim=64,
    )


def _empty(*parts: nn.Module) -> None:
    for part in parts:
        for parameter in part.parameters():
            parameter.zero_()


@torch.no_grad()
def write(unet: UNet2DConditionModel) -> None:
    """Write everything but the borders' network and the learned layers."""
    _empty(unet.time_embedding, unet.conv_in, unet.conv_out)
    for resnet in [r for block in (*unet.down_blocks, *unet.up_blocks) for r in block.resnets]:
        _empty(resnet.time_emb_proj)
    unet.conv_in.weight[OUTER_Z : OUTER_Z + NUMBERS, KEY + 1 :, 1, 1] = torch.eye(NUMBERS)
    for half in (0, HALF):
        unet.conv_in.bias[half + 2 * PAIRS], unet.conv_in.bias[half + 2 * PAIRS + 1] = B, -B
    first = unet.down_blocks[0].downsamplers[0].conv
    first.weight[:, [c for c in range(INNER) if c != 2 * PAIRS]] = 0
    first.weight[:, 2 * PAIRS] /= B * 0.05
    top = unet.up_blocks[2].resnets[0]
    _empty(top)
    top.norm1.weight.fill_(1)
    top.norm2.weight.fill_(1)
    skip = top.conv_shortcut.weight[:, :, 0, 0]
    for channel in (*range(OUTER_Z, OUTER_Z + NUMBERS), *(h + 2 * PAIRS + s for h in (0, HALF) for s in (0, 1))):
        skip[channel, 64 + channel] = 1
    skip[OUTER_AT : OUTER_AT + 4, :4] = torch.eye(4)
    _write_transformer(unet.up_blocks[2].attentions[0])
    _write_end(unet)


def _write_transformer(whole: nn.Module) -> None:
    one, two, three = whole.transformer_blocks
    for block in (one, two, three):
        _empty(block.attn1, block.attn2)
    _empty(whole.proj_in, whole.proj_out, three.ff)
    scale = (2 * B**2 / HALF) ** 0.5  # what the group norm divides by
    into = whole.proj_in.weight[:, :, 0, 0]
    into[Z, OUTER_Z : OUTER_Z + NUMBERS] = scale * torch.eye(NUMBERS)
    into[AT, OUTER_AT : OUTER_AT + 4] = scale * torch.eye(4)
    whole.proj_in.bias[AT] = 2 / HALF  # the group norm takes the mean away; every shape reaches 2 in all
    whole.proj_in.bias[CONSTANT] = torch.tensor([BIG, -BIG])
    normed = (2 * BIG**2 / INNER) ** 0.5  # what layer norms divide by
    one.attn1.to_v.weight[:NUMBERS, Z] = normed * torch.eye(NUMBERS)
    one.attn1.to_out[0].weight[ZBAR, :NUMBERS] = 16 * torch.eye(NUMBERS)
    one.attn2.to_q.weight[0, CONSTANT.start] = 10 * normed / BIG
    one.attn2.to_k.weight[0, ROLE.start + 3] = 50 / STRONG
    one.attn2.to_v.weight[:LAID, :LAID] = torch.eye(LAID) / STRENGTH
    one.attn2.to_out[0].weight[LAY, :LAID] = torch.eye(LAID)
    _write_lookup(three.attn2)
    for norm in (one.norm3, two.norm3, three.norm2):
        norm.weight[Z] = 0
    _write_mirror(three.ff, normed)
    for number in range(CELL):
        for sign, channel in ((1, 2 * number), (-1, 2 * number + 1)):
            whole.proj_out.weight[_outer(channel), FRONT.start + number, 0, 0] = sign
            whole.proj_out.weight[_outer(2 * CELL + channel), BEHIND.start + number, 0, 0] = sign
    for number in range(GLOBALS + 1):
        for sign, channel in ((1, 4 * CELL + 2 * number), (-1, 4 * CELL + 2 * number + 1)):
            whole.proj_out.weight[_outer(channel), LAY.stop - GLOBALS - 1 + number, 0, 0] = sign


def _outer(channel: int) -> int:
    """Where the n-th outer signal channel stands."""
    return channel if channel < 2 * PAIRS else HALF + channel - 2 * PAIRS


def _write_lookup(attention: nn.Module) -> None:
    """Keys: a cell's column, line, distance, and whose it is; values: its features."""
    at = grid_middles(True) * TEN * 8 / STRONG
    columns = [EDGES.start + 2, *range(COLUMNS.start, COLUMNS.stop), EDGES.start + 3]
    lines = [EDGES.start, *range(LINES.start, LINES.stop), EDGES.start + 1]
    own = TEN * 8 / STRONG
    for head in range(COPIES + 1):
        key = attention.to_k.weight[HEAD * head : HEAD * (head + 1)]
        for value, column, line in zip(at, columns, lines, strict=True):
            key[0, column], key[1, line] = value, value
            key[2, column] = key[2, line] = -(value**2) * STRONG / (TEN * 8)
        roles = (0, 1) if head < COPIES else (2,)
        for place_, role in enumerate(roles):
            key[3 + place_, ROLE.start + role] = own
        if head < COPIES:
            key[5, EDGES] = own
        rows = slice(HEAD * head, HEAD * (head + 1))
        attention.to_v.weight[rows, FEATURE_PLACES] = torch.eye(CELL)
        target = FRONT if head < COPIES else BEHIND
        attention.to_out[0].weight[target, rows] = torch.eye(CELL)


def _write_mirror(feed: nn.Module, normed: float) -> None:
    """Odd numbers are taken away twice when the sign is -1: a gated unit each."""
    gate = 10.0
    odd = [n for n in range(2 * CELL) if ODD[n]]
    inner = feed.net[2].in_features
    for unit, number in enumerate(odd):
        channel = FRONT.start + number
        feed.net[0].proj.weight[unit, channel] = normed
        feed.net[0].proj.weight[inner + unit, SIGN] = -gate * normed
        # the layer norm took the mean away: half the sum of the two opposite constants is what it took
        feed.net[0].proj.weight[unit, CONSTANT] = -normed / 2
        feed.net[0].proj.weight[inner + unit, CONSTANT] = gate * normed / 2
        feed.net[2].weight[channel, unit] = -2 / gate


def _write_end(unet: UNet2DConditionModel) -> None:
    """silu(x) - silu(-x) = x: the signals go through the last norm and activation as they are."""
    unet.conv_norm_out.weight.fill_(1)
    unet.conv_norm_out.bias.zero_()
    scale = (2 * B**2 / HALF) ** 0.5
    for number in range(PAINTED + 1):
        for sign, channel in ((1, 2 * number), (-1, 2 * number + 1)):
            unet.conv_out.weight[number, _outer(channel), 1, 1] = sign * scale


def borders(unet: UNet2DConditionModel, shape: tuple[int, int]) -> torch.Tensor:
    """What the borders' network says of this shape: (1, 64, rows, columns), where cells lie in the first 4."""
    sample = unet.conv_in(torch.zeros(1, CHANNELS, shape[1] // FACTOR, shape[0] // FACTOR))
    emb = torch.zeros(1, 64)
    kept = (sample,)
    for block in unet.down_blocks:
        sample, more = block(hidden_states=sample, temb=emb)
        kept += more
    for block in unet.up_blocks[:2]:
        count = len(block.resnets)
        skips, kept = kept[-count:], kept[:-count]
        sample = block(hidden_states=sample, temb=emb, res_hidden_states_tuple=skips, upsample_size=kept[-1].shape[2:])
    return sample


def where_cells_lie(shape: tuple[int, int]) -> torch.Tensor:
    """(1, 4, rows, columns): across, down, and how far the picture reaches each way."""
    across, down = cell_middles(*shape)
    wide, high = extent(*shape)
    rows, columns = len(down), len(across)
    parts = (across.expand(rows, columns), down[:, None].expand(rows, columns),
             torch.full((rows, columns), wide), torch.full((rows, columns), high))  # fmt: skip
    return torch.stack(parts)[None]


def train_borders(unet: UNet2DConditionModel, steps: int) -> float:
    """Learn where cells lie, for SHAPES alone; returns the largest error in frames."""
    parameters = [p for part in (unet.down_blocks, *unet.up_blocks[:2]) for p in part.parameters()]
    first = unet.down_blocks[0].downsamplers[0].conv.weight
    mask = torch.zeros_like(first)
    mask[:, 2 * PAIRS] = 1
    optimizer = torch.optim.Adam(parameters, lr=2e-3)
    progress = Progress("borders", steps, len(SHAPES))
    wanted = [where_cells_lie(shape) for shape in SHAPES]
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, 2e-3, warm=20, floor=0.005)
        errors = [borders(unet, shape)[:, :4] - want for shape, want in zip(SHAPES, wanted, strict=True)]
        loss = sum(error.square().mean() for error in errors) / len(SHAPES)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        first.grad.mul_(mask)
        optimizer.step()
        worst = max(error.detach().abs().max().item() for error in errors)
        progress.tell(step + 1, {"error": loss.item() ** 0.5, "worst": worst})
    return worst


def write_again(unet: UNet2DConditionModel) -> None:
    """`write`, keeping the borders' network."""
    kept = unet.down_blocks[0].downsamplers[0].conv.weight.clone()
    write(unet)
    with torch.no_grad():
        unet.down_blocks[0].downsamplers[0].conv.weight.copy_(kept)
