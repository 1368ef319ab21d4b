"""The painting half of the text encoder: from "a red apple" to the features of each of its cells. Solved, not trained.

A cell's features are a linear map of the code of its thing or background, cut to its main directions: a hidden unit
each, kept where quick_gelu is the identity. What its own colours change has units that work only where the code says
"in its own colours". At other cells all are switched off (see encoder.py). Which directions are kept is decided over
all cells together, by what they explain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from banks import backgrounds
from roles import BEHIND, BEHIND_GRID, CODE, COLOURED, FEATURES, ROW, STRENGTH, THING_CELLS, Coder
from tables import Tables, load_tables, things

UNITS = 6912  # hidden units in all
SHIFT = 12.0  # where the units work: quick_gelu(SHIFT + x) is SHIFT + x for x of a few
MOST = 5.0  # the largest x
UNLESS = 40.0  # how far a unit for own colours is pushed down where another colour is asked
ERROR = 0.02  # of the reader, for which the maps are made steady
BLURRED = 0.8  # of a unit's explained variance, what counts in a background beside a thing


@dataclass(frozen=True)
class Units:
    """Hidden units: the cell of each (things' first, then the background's), what of the code they read (units, CODE),
    their bias, what they add to the features (units, BEHIND), and which work only for own colours."""

    cell: torch.Tensor
    reads: torch.Tensor
    bias: torch.Tensor
    adds: torch.Tensor
    own: torch.Tensor


def _maps(codes: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """(n, numbers), (n, cells, features) -> (cells, numbers, features): the linear maps, made for codes with ERROR."""
    square = codes.T @ codes + len(codes) * ERROR**2 * torch.eye(codes.shape[1])
    return torch.einsum("ij,nj,ncf->cif", torch.linalg.inv(square), codes, wanted)


def solve(coder: Coder, tables: Tables) -> Units:
    """The units for these codes and features."""
    rows = torch.from_numpy(coder.rows)
    exists = torch.full((len(things()), 1), STRENGTH)
    said = torch.cat([rows, exists], 1)
    named = torch.zeros(len(backgrounds()), CODE)
    for name, row in backgrounds().items():
        named[row] = torch.from_numpy(coder.background(name))
    jobs = (  # codes, wanted features, first cell, where the features stand, whether for own colours alone
        (said, tables.things[..., :COLOURED], 0, slice(0, COLOURED), False),
        (said, tables.things[..., COLOURED:], 0, slice(COLOURED, FEATURES), True),
        (named[:, : ROW + 1], tables.backgrounds, THING_CELLS, slice(0, BEHIND), False),
    )
    found = []
    for codes, wanted, first, places, own in jobs:
        maps = _maps(codes, wanted)
        root = torch.linalg.cholesky(codes.T @ codes / len(codes) + ERROR**2 * torch.eye(codes.shape[1]))
        u, s, v = torch.linalg.svd(root.T @ maps, full_matrices=False)
        reads = torch.linalg.solve(root.T, u)  # (cells, numbers, parts): of deviation 1
        for cell in range(len(maps)):
            size = (codes @ reads[cell]).abs().amax(0).clamp(min=1e-6)
            scale = MOST / size
            weight = s[cell].square() * (BLURRED if first else 1.0)
            for part in range(len(s[cell])):
                read, add = torch.zeros(CODE), torch.zeros(BEHIND)
                read[: codes.shape[1]] = reads[cell, :, part] * scale[part]
                add[places] = v[cell, part] * s[cell, part] / scale[part]
                found.append((weight[part].item(), first + cell, own, read, add))
    return _chosen(found)


@lru_cache(maxsize=1)
def load_units(folder: Path) -> Units:
    """The units for the codes and tables of this work folder, solved once a process."""
    return solve(Coder(folder), load_tables(folder))


def _chosen(found: list) -> Units:
    """The best of them, and for each cell the units that take SHIFT back."""
    cells = THING_CELLS + BEHIND_GRID**2
    constants = cells + THING_CELLS
    found = sorted(found, key=lambda one: -one[0])[: UNITS - constants]
    back = {(cell, own): torch.zeros(BEHIND) for cell in range(cells) for own in (False, True)}
    for _, cell, own, _, add in found:
        back[cell, own] -= SHIFT * add
    for (cell, own), add in back.items():
        if cell < THING_CELLS or not own:
            found.append((0.0, cell, own, torch.zeros(CODE), add / SHIFT))
    reads = torch.stack([read for _, _, _, read, _ in found])
    own = torch.tensor([one[2] for one in found])
    return Units(
        torch.tensor([one[1] for one in found]),
        reads,
        SHIFT - UNLESS * own.float(),
        torch.stack([one[4] for one in found]),
        own,
    )


def painted(units: Units, code: torch.Tensor, first: int, count: int) -> torch.Tensor:
    """(b, CODE) -> (b, count, BEHIND): what the units of these cells say, for proofs and lessons."""
    natural = (code[:, ROW + 1 : ROW + 2] > STRENGTH / 2).float()
    z = code @ units.reads.T + units.bias + UNLESS * natural * units.own
    z = z * torch.sigmoid(1.702 * z)
    out = torch.zeros(len(code), THING_CELLS + BEHIND_GRID**2, BEHIND)
    out.index_add_(1, units.cell, z[..., None] * units.adds)
    return out[:, first : first + count]
