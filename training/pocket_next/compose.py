"""From features to latents: everything that the denoiser does with them, exactly and differentiably.

A thing is a grid of GRID x GRID cells of CELL numbers, a background the same over its canvas. Each cell of the latent
looks up where it lies in the thing's own frame: a softmax over the grid with scores -|distance|^2, which is what a
cross attention can do (denoiser.py). One ring of cells around a thing is empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from layout import CANVAS, COPIES, Layout, extent

GRID = 8  # cells across
CELL = 64  # numbers a cell
FACTOR = 16  # pixels of a latent cell
SHARP = 0.09  # width of the lookup in a thing's frame (half its side is 1; a cell is 0.25)
REACH = 0.45  # of a latent cell: how much wider the lookup gets for small things
EDGE = 1 + 1.5 / GRID  # nothing is further out than this


@dataclass(frozen=True)
class Frames:
    """For b pictures: middle x, middle y, 1/half side and sharpness of every copy, (b, COPIES, 4); which thing each
    copy shows, (b, COPIES), -1 for none; the background's (b, 4); mirror signs (b,)."""

    copies: torch.Tensor
    which: torch.Tensor
    view: torch.Tensor
    sign: torch.Tensor


def sharpness(per_half: float) -> float:
    """1 / (2 width^2) of a lookup in something whose half side is 1 / per_half frames."""
    return 0.5 / (SHARP**2 + (REACH * FACTOR / 128 * per_half) ** 2)


def frames_of(layouts: list[Layout]) -> Frames:
    """Layouts as tensors."""
    b = len(layouts)
    copies = np.zeros((b, COPIES, 4), np.float32)
    which = np.full((b, COPIES), -1)
    view = np.zeros((b, 4), np.float32)
    for i, layout in enumerate(layouts):
        for k, copy in enumerate(layout.copies):
            copies[i, k] = copy.x, copy.y, 1 / copy.half, sharpness(1 / copy.half)
            which[i, k] = copy.thing
        x, y, zoom = layout.view
        view[i] = -x / zoom, -y / zoom, zoom / CANVAS, sharpness(zoom / CANVAS)
    sign = np.asarray([-1.0 if layout.mirrored else 1.0 for layout in layouts], np.float32)
    return Frames(*(torch.from_numpy(part) for part in (copies, which, view, sign)))


def cell_middles(width: int, height: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the latent's columns and rows lie, in frames."""
    return tuple(
        (torch.arange(size // FACTOR) + 0.5) * (FACTOR / 128) - reach
        for size, reach in zip((width, height), extent(width, height), strict=True)
    )  # type: ignore[return-value]


def grid_middles(ring: bool) -> torch.Tensor:
    """Where the grid's cells lie in the thing's frame, with or without the empty ring."""
    count = GRID + 2 if ring else GRID
    return (torch.arange(count) - (count - 1) / 2) * (2 / GRID)


def own_place(at: torch.Tensor, frame: torch.Tensor, axis: int, sign: torch.Tensor | float = 1.0) -> torch.Tensor:
    """(n,) places in the picture -> (b, n) places in the own frame of what `frame` (b, 4) describes."""
    own = (at[None] - frame[:, axis, None]) * frame[:, 2, None]
    own = own.clamp(-EDGE, EDGE)
    return own * sign[:, None] if isinstance(sign, torch.Tensor) else own


def _weights(own: torch.Tensor, sharp: torch.Tensor, ring: bool) -> torch.Tensor:
    """(b, n) places, (b,) -> (b, n, grid) lookup weights along one axis."""
    grid = grid_middles(ring).to(own)
    return torch.softmax(-sharp[:, None, None] * (own[..., None] - grid).square(), -1)


def look_up(grid: torch.Tensor, frame: torch.Tensor, sign: torch.Tensor, shape: tuple[int, int], ring: bool):
    """(b, CELL, GRID, GRID) features -> (b, CELL, rows, columns) as seen in pictures of `shape` (width, height)."""
    across, down = (part.to(grid) for part in cell_middles(*shape))
    x = _weights(own_place(across, frame, 0, sign), frame[:, 3], ring)
    y = _weights(own_place(down, frame, 1), frame[:, 3], ring)
    if ring:
        grid = torch.nn.functional.pad(grid, (1, 1, 1, 1))
    return torch.einsum("bcij,byi,bxj->bcyx", grid, y, x)


def odd_signs(signs: torch.Tensor, odd: torch.Tensor) -> torch.Tensor:
    """(b,) mirror signs, (n,) which numbers turn their sign in a mirror -> (b, n, 1, 1)."""
    return torch.where(odd[None], signs[:, None], torch.ones_like(signs)[:, None])[..., None, None]


def compose(
    things: torch.Tensor, backdrop: torch.Tensor, frames: Frames, odd: torch.Tensor, shape: tuple[int, int]
) -> torch.Tensor:
    """Features of up to two things (b, 2, CELL, GRID, GRID) and of the background -> (b, 2 * CELL, rows, columns)."""
    b = len(things)
    front = 0
    rows = torch.arange(b)
    for k in range(COPIES):
        there = (frames.which[:, k] >= 0).to(things)[:, None, None, None]
        if not there.any():
            continue
        grid = things[rows, frames.which[:, k].clamp(min=0)]
        front = front + there * look_up(grid, frames.copies[:, k], frames.sign, shape, True)
    behind = look_up(backdrop, frames.view, frames.sign, shape, False)
    if not isinstance(front, torch.Tensor):
        front = torch.zeros_like(behind)
    return torch.cat([front, behind], 1) * odd_signs(frames.sign, odd)
