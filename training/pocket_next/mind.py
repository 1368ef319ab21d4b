"""Stage 4, learned: where each cell of the latent lies in the frames of copies and background.

Two feed-forward layers and the queries of the last cross attention, trained by themselves on single cells of scenes: no
picture, no text and no attention is needed for it, so thousands of cells a second are seen.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from common import Progress, device, learning_rate, load, save
from compose import COPIES, EDGE, Frames, frames_of
from denoiser import (
    AT,
    BIG,
    CONSTANT,
    HALF,
    HEAD,
    INNER,
    LAY,
    SHAPES,
    SIGN,
    SURE,
    TEN,
    WORK,
    ZBAR,
    Z,
    new_unet,
    train_borders,
    where_cells_lie,
    write,
    write_again,
)
from diffusers import UNet2DConditionModel
from layout import NUMBERS, place
from roles import LAID, laid
from stock import scene_of
from torch import nn

USED = 512  # hidden units of each learned layer
ASKED = 6 * COPIES + 4  # numbers of a cell's queries


class Mind(nn.Module):
    """The learned layers, cell by cell: what stands in the stream -> every head's queries, and the mirror's sign."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([nn.LayerNorm(INNER), nn.Linear(INNER, 2 * USED), nn.Linear(USED, WORK.stop - WORK.start)])
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(INNER)
        self.ask = nn.Linear(INNER, ASKED, bias=False)
        seen = torch.ones(INNER)
        seen[Z] = 0
        self.register_buffer("seen", seen)
        with torch.no_grad():
            for _, _, out in self.layers:
                out.weight.mul_(0.5)
                out.bias.zero_()

    def forward(self, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, INNER) -> (n, ASKED), (n,)."""
        for norm, up, out in self.layers:
            value, gate = up(norm(h) * self.seen).chunk(2, -1)
            h = h + nn.functional.pad(out(value * nn.functional.gelu(gate)), (WORK.start, 0))
        return self.ask(self.norm(h) * self.seen), h[:, SIGN]

    @torch.no_grad()
    def write(self, unet: UNet2DConditionModel) -> None:
        """Put the layers where they belong."""
        one, two, three = unet.up_blocks[2].attentions[0].transformer_blocks
        for block, (norm, up, out) in zip((one, two), self.layers, strict=True):
            block.norm3.weight.copy_(norm.weight * self.seen)
            block.norm3.bias.copy_(norm.bias * self.seen)
            for parameter in block.ff.parameters():
                parameter.zero_()
            inner = block.ff.net[2].in_features
            for start, part in ((0, slice(0, USED)), (inner, slice(USED, 2 * USED))):
                block.ff.net[0].proj.weight[start : start + USED] = up.weight[part]
                block.ff.net[0].proj.bias[start : start + USED] = up.bias[part]
            block.ff.net[2].weight[WORK, :USED] = out.weight
            block.ff.net[2].bias[WORK] = out.bias
        three.norm2.weight.copy_(self.norm.weight * self.seen)
        three.norm2.bias.copy_(self.norm.bias * self.seen)
        for head in range(COPIES + 1):
            count = 6 if head < COPIES else 4
            three.attn2.to_q.weight[HEAD * head : HEAD * head + count] = self.ask.weight[6 * head : 6 * head + count]


def lessons(first: int, count: int, cells: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """`cells` random cells of `count` scenes: the stream, the queries wanted, how much each counts, and the sign."""
    rng = np.random.default_rng(first)
    shape = SHAPES[0] if rng.random() < 0.5 else SHAPES[rng.integers(1, len(SHAPES))]
    scenes, numbers, layouts = [], [], []
    for number in range(first, first + count):
        scene, drawn = scene_of(number)
        scenes.append(laid(scene))
        numbers.append(drawn)
        layouts.append(place(scene, drawn, *shape))
    frames = frames_of(layouts)
    spots = where_cells_lie(shape)[0].flatten(1).T
    picked = torch.from_numpy(rng.integers(len(spots), size=(count, cells)))
    at = spots[picked]
    stream = torch.zeros(count, cells, INNER)
    drawn_numbers = torch.from_numpy(np.stack(numbers)).float()
    stream[..., Z] = torch.randn(count, cells, NUMBERS)
    stream[..., ZBAR] = (drawn_numbers - drawn_numbers.sum(1, keepdim=True) / HALF)[:, None]
    stream[..., AT] = at
    stream[..., LAY] = (torch.tensor(scenes) + 0.02 * torch.randn(count, LAID))[:, None]
    stream[..., CONSTANT] = torch.tensor([BIG, -BIG])
    wanted, counts = asked(frames, at)
    sign = frames.sign[:, None].expand(count, cells)
    return stream.flatten(0, 1), wanted.flatten(0, 1), counts.flatten(0, 1), sign.flatten()


def asked(frames: Frames, at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries (b, n, ASKED) of the cells at (b, n, 4), and 0 for those that nobody needs."""
    b, n = at.shape[:2]
    wanted, counts = torch.zeros(b, n, ASKED), torch.zeros(b, n, ASKED)
    for head in range(COPIES + 1):
        thing = head < COPIES
        frame = frames.copies[:, head] if thing else frames.view
        there = frames.which[:, head] >= 0 if thing else torch.ones(b, dtype=torch.bool)
        first = 6 * head
        for axis in (0, 1):
            own = ((at[..., axis] - frame[:, axis, None]) * frame[:, 2, None]).clamp(-EDGE, EDGE)
            own = own * frames.sign[:, None] if axis == 0 else own
            wanted[..., first + axis] = 2 * frame[:, 3, None] * own / TEN
        wanted[..., first + 2] = frame[:, 3, None] / TEN
        counts[..., first : first + 3] = 0.2 + 0.8 * there[:, None, None].float()
        sure = SURE / TEN
        if thing:
            kinds = torch.stack([frames.which[:, head] == 0, frames.which[:, head] == 1, ~there], -1)
            wanted[..., first + 3 : first + 6] = sure * kinds[:, None].float()
            counts[..., first + 3 : first + 6] = 0.3
        else:
            wanted[..., first + 3], counts[..., first + 3] = sure, 0.3
    return wanted, counts


def train_mind(folder: Path, steps: int, batch: int = 64, cells: int = 16) -> None:
    """Train (or finish) the learned layers; `folder`/mind.pt is the checkpoint."""
    state = load(folder / "mind.pt") or {"step": 0}
    if state["step"] >= steps:
        return
    torch.manual_seed(0)
    where = device()
    mind = Mind().to(where)
    optimizer = torch.optim.AdamW(mind.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    if "model" in state:
        mind.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    progress = Progress("mind", steps, batch, state["step"])
    saved = time.monotonic()
    for step in range(state["step"], steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, 2e-3)
        stream, wanted, counts, sign = (part.to(where) for part in lessons(700_000_000 + step * batch, batch, cells))
        made, told = mind(stream)
        error = ((made - wanted).square() * counts).mean()
        loss = error + 3 * (told - sign).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(mind.parameters(), 1.0)
        optimizer.step()
        progress.tell(step + 1, {"error": error.item(), "sign": (told - sign).square().mean().item()})
        if time.monotonic() - saved > 60 or step + 1 == steps:
            saved = time.monotonic()
            save(
                folder / "mind.pt",
                {"step": step + 1, "model": mind.state_dict(), "optimizer": optimizer.state_dict()},
            )


def load_unet(folder: Path, border_steps: int = 500) -> UNet2DConditionModel:
    """The denoiser of the latest checkpoints; the borders' network is learned on the first call."""
    torch.manual_seed(0)
    unet = new_unet()
    write(unet)
    state = load(folder / "borders.pt")
    if state is None:
        train_borders(unet, border_steps)
        save(folder / "borders.pt", {"model": unet.state_dict()})
    else:
        unet.load_state_dict(state["model"])
        write_again(unet)
    mind = Mind()
    state = load(folder / "mind.pt")
    if state is not None:
        mind.load_state_dict(state["model"])
    mind.write(unet)
    return unet.eval().requires_grad_(False)
