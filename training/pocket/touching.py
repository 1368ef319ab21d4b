"""How things are put upon backgrounds: the last three feed-forward layers at the cells, the only part that is learned.

Each cell alone: its background's latent, what its thing looks like, light and style -> its latent in the drawn scene.
Thousands of cells a second; the weights are then written into the denoiser.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from banks import backgrounds
from circuit import Channels
from common import Progress, device, learning_rate, load, save
from drawing import CANVAS, numbered, seen_cells, shape_of
from geometry import LATENT, PATCH, STYLE, THING
from layout import SMALL, UNIT, Layout, place
from painting import ERROR, Units, load_units, painted
from roles import BEHIND_GRID, CODE, FEATURES, LARGE_CELLS, ROW, STRENGTH, THING_CELLS, Coder, globals_of
from stock import Stock
from tables import Tables, by_cells, load_tables
from torch import nn
from torch.nn import functional

INPUTS = (*LATENT, *THING, "is inside", "light is", "warmth is", *STYLE)
UNITS = (640, 640, 560)


class Touch(nn.Module):
    """(b, INPUTS) -> (b, PATCH)."""

    def __init__(self) -> None:
        super().__init__()
        self.ins = nn.ModuleList(nn.Linear(len(INPUTS), 2 * units) for units in UNITS)
        self.outs = nn.ModuleList(nn.Linear(units, PATCH) for units in UNITS)
        for out in self.outs:
            out.weight.data.mul_(0.1)
            out.bias.data.zero_()

    def before_last(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, PATCH) and (b, last UNITS), from which the last linear map makes what is added."""
        latent, rest = x[:, :PATCH], x[:, PATCH:]
        for number, enter in enumerate(self.ins):
            value, gate = enter(torch.cat([latent, rest], 1)).chunk(2, 1)
            inner = value * functional.gelu(gate)
            if number + 1 < len(self.ins):
                latent = latent + self.outs[number](inner)
        return latent, inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        latent, inner = self.before_last(x)
        return latent + self.outs[-1](inner)

    @torch.no_grad()
    def write(self, feeds: list[nn.Module], channels: Channels) -> None:
        """Into these feed-forward layers."""
        at = [channels.at[name] for name in INPUTS]
        zero = channels.at["zero"]
        for number, (feed, enter, leave) in enumerate(zip(feeds, self.ins, self.outs, strict=True)):
            project, out = feed.net[0].proj, feed.net[2]
            inner, units = out.in_features, UNITS[number]
            for layer in (project, out):
                layer.weight.zero_()
                layer.bias.zero_()
            for first, part in ((0, slice(0, units)), (inner, slice(units, 2 * units))):
                rows = torch.zeros(units, channels.width)
                rows[:, at] = enter.weight[part]
                rows[:, zero] -= rows.sum(1)
                project.weight[first : first + units] = rows
                project.bias[first : first + units] = enter.bias[part]
            out.weight[at[:PATCH], :units] = leave.weight
            out.bias[at[:PATCH]] = leave.bias


PEAK = 2e-3  # learning rate
SETTLED = 64  # times a batch: drawn cells for which the last layer is solved; as many of backgrounds
PLAIN = 3.0  # what an empty wall's cell counts there; any other counts one
KEPT = 0.998  # of the average of the weights, once it is warm


class World:
    """What cells see, as the finished text encoder and the layers before these put it."""

    def __init__(self, folder: Path) -> None:
        self.coder, self.tables = Coder(folder), load_tables(folder)
        self.units: Units = load_units(folder)

    def cells(self, numbers: list[int]) -> torch.Tensor:
        """(scenes, cells, INPUTS) of these scenes, which are of one shape; codes are a little wrong."""
        said = [numbered(number) for number in numbers]
        columns, rows = (size // UNIT for size in shape_of(numbers[0]))
        codes = torch.from_numpy(np.stack([self.coder.code(scene) for scene, _ in said]))
        codes = codes + ERROR * torch.randn_like(codes)
        first = painted(self.units, codes[:, 0], 0, THING_CELLS)
        second = painted(self.units, codes[:, 1], LARGE_CELLS, THING_CELLS - LARGE_CELLS)
        behind = painted(self.units, codes[:, 2], THING_CELLS, BEHIND_GRID**2)
        nothing = torch.zeros(1, FEATURES + 5)
        made = []
        for i, (scene, drawn) in enumerate(said):
            spot = place(scene, drawn, columns, rows)
            shown = torch.from_numpy(_shown(spot, columns, rows)).flatten()
            parts = [_with_colour(part[i], codes[i, role]) for role, part in enumerate((first, second))]
            thing = torch.cat([*parts, nothing])[shown]
            flags = [spot.light, spot.warmth, *globals_of(scene)]
            inside = (shown >= 0).float()[:, None]
            latent = _background(self.tables, behind[i], spot.mirrored, columns, rows)
            made.append(torch.cat([latent, thing, inside, torch.tensor(flags).expand(len(thing), -1)], 1))
        return torch.stack(made)


def _with_colour(features: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
    own = code[ROW + 1 : CODE] / STRENGTH
    return torch.cat([features[:, :FEATURES], own.expand(len(features), -1)], 1)


def _shown(spot: Layout, columns: int, rows: int) -> np.ndarray:
    """(rows, columns): which of the first thing's cells, large before small, then of the second's; -1 is none."""
    shown = np.full((rows, columns), -1)
    for copy in spot.copies:
        start = THING_CELLS if copy.thing else LARGE_CELLS if copy.side == SMALL else 0
        grid = start + np.arange(copy.side**2).reshape(copy.side, copy.side)
        box = shown[copy.top : copy.top + copy.side, copy.left : copy.left + copy.side]
        box[:] = grid[: box.shape[0], : box.shape[1]]
    return shown


def _background(tables: Tables, features: torch.Tensor, mirrored: bool, columns: int, rows: int) -> torch.Tensor:
    """(cells, PATCH)."""
    across, down, turned = seen_cells(columns, rows)
    if mirrored:
        across = 2 * BEHIND_GRID - 1 - across
    x, y = np.tile(across, rows), np.repeat(down, columns)
    decode = tables.decode[np.tile(turned ^ mirrored, rows).astype(int), y % 2, x % 2]
    seen = torch.cat([features[y // 2 * BEHIND_GRID + x // 2], torch.ones(len(x), 1)], 1)
    return torch.einsum("cf,cfp->cp", seen, decode)


def load_touch(folder: Path) -> Touch:
    """The average of the latest checkpoint."""
    touch = Touch()
    state = load(folder / "touch.pt")
    if state is not None:
        touch.load_state_dict(state["average"])
    return touch.eval().requires_grad_(False)


class Cells:
    """Cells of all drawn scenes: (n, INPUTS) and (n, PATCH), float16; those that show a thing and some of the rest."""

    def __init__(self, folder: Path, world: World, rest: float = 0.3) -> None:
        stock = Stock(folder / "scenes")
        seen, wanted = [], []
        for path, shard in zip(stock.paths, stock.shards, strict=True):
            first = int(path.stem)
            made = world.cells(list(range(first, first + len(shard)))).flatten(0, 1)
            real = by_cells(torch.from_numpy(np.array(shard)).float(), 2).flatten(0, 1)
            kept = (made[:, INPUTS.index("is inside")] > 0) | (torch.rand(len(made)) < rest)
            seen.append(made[kept].half())
            wanted.append(real[kept].half())
        self.seen, self.wanted = torch.cat(seen), torch.cat(wanted)


@torch.no_grad()
def settle(touch: Touch, cells: Cells, world: World, count: int) -> None:
    """Solve the last layer anew, for `count` drawn cells and as many of all backgrounds without a thing: steps alone
    leave walls flatter and darker than they are said."""
    some = torch.randperm(len(cells.seen))[:count]
    parts = [(cells.seen[some].float(), cells.wanted[some].float(), torch.ones(len(some)))]
    names = list(backgrounds())
    codes = torch.from_numpy(np.stack([world.coder.background(name) for name in names]))
    said = painted(world.units, codes, THING_CELLS, BEHIND_GRID**2)
    for row, name in enumerate(names):
        weight = PLAIN if name.startswith(("studio", "wall", "table")) else 1.0
        for mirrored in (False, True):
            shown, exact = (
                _background(world.tables, features[row], mirrored, CANVAS, CANVAS)
                for features in (said, world.tables.backgrounds)
            )
            few = torch.randperm(CANVAS**2)[: max(1, count // (4 * len(names)))]
            shown, exact = shown[few], exact[few]
            dark = torch.cat([shown, torch.zeros(len(shown), len(INPUTS) - PATCH)], 1)
            lit = dark.clone()
            lit[:, [INPUTS.index("light is"), INPUTS.index("warmth is")]] = 2 * torch.rand(2) - 1
            weights = torch.full((len(few),), weight)
            parts += [(dark, exact, weights), (lit, exact + touch(lit) - touch(dark), weights)]
    seen, wanted, weights = (torch.cat(one) for one in zip(*parts, strict=True))
    inner = torch.cat([touch.before_last(seen)[1], torch.ones(len(seen), 1)], 1).double()
    square = inner.T @ (inner * weights[:, None])
    square += 1e-4 * len(inner) * torch.diag(inner.square().mean(0) + 1e-4)
    left = (wanted - touch(seen)).double() * weights[:, None]
    change = torch.linalg.solve(square, inner.T @ left).float()
    touch.outs[-1].weight += change[:-1].T
    touch.outs[-1].bias += change[-1]


def train_touch(folder: Path, steps: int, batch: int = 1024) -> None:
    """Train (or finish); `folder`/touch.pt is the checkpoint."""
    state = load(folder / "touch.pt") or {"step": 0}
    if state["step"] >= steps:
        return
    torch.manual_seed(state["step"])
    where, world = device(), World(folder)
    cells = Cells(folder, world)
    touch = Touch()
    if "model" in state:
        touch.load_state_dict(state["model"])
    touch.to(where)
    average = state.get("average") or {name: v.detach().clone() for name, v in touch.state_dict().items()}
    average = {name: v.to(where) for name, v in average.items()}
    optimizer = torch.optim.AdamW(touch.parameters(), lr=PEAK, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    progress = Progress("touch", steps, batch, state["step"])
    saved = time.monotonic()
    for step in range(state["step"], steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, PEAK)
        rows = torch.randint(len(cells.seen), (batch,))
        seen, wanted = cells.seen[rows].float().to(where), cells.wanted[rows].float().to(where)
        with torch.autocast(where.type, torch.bfloat16):
            made = touch(seen)
        error = (made.float() - wanted).square().mean()
        optimizer.zero_grad(set_to_none=True)
        error.backward()
        torch.nn.utils.clip_grad_norm_(touch.parameters(), 1.0)
        optimizer.step()
        keep = min(KEPT, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in touch.state_dict().items():
                average[name].lerp_(value, 1 - keep)
        progress.tell(step + 1, {"error": error.item(), "before": (seen[:, :PATCH] - wanted).square().mean().item()})
        if time.monotonic() - saved > 60 or step + 1 == steps:
            saved = time.monotonic()
            kept = {"model": touch.state_dict(), "average": average, "optimizer": optimizer.state_dict()}
            if step + 1 == steps:
                settled = Touch()
                settled.load_state_dict(average)
                settle(settled, cells, world, SETTLED * batch)
                kept["average"] = settled.state_dict()
            save(folder / "touch.pt", {"step": step + 1, **kept})
