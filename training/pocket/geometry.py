"""What the denoiser's transformer layers compute by construction: which cell of what each cell of the picture shows.

The layout of layout.py, number by number: noise means -> places of copies -> for each cell of the picture the cell of
the thing and of the background that it shows -> both are looked up in what the text encoder says.
"""

from __future__ import annotations

import torch
from circuit import Channels, Gates, Linear, plus, scaled
from drawing import CANVAS
from layout import (
    CHANCES,
    COUNTED,
    EDGE,
    GROUND_FROM,
    GROUND_LOWER,
    HALVES,
    LARGE,
    LEAST,
    MOST,
    NUMBERS,
    RELATIONS,
    SMALL,
    SPREAD,
    USUALLY,
)
from lookup import Attentions, said, scaled_keys, steady
from roles import (
    BEHIND,
    BEHIND_GRID,
    COLUMNS,
    COUNTS,
    FEATURE_PLACES,
    FEATURES,
    GLOBALS,
    IS_LARGE,
    LAID,
    LINES,
    MORE_PLACES,
    ROLE,
    ROW,
    STRENGTH,
    STRONG,
    WEAK,
    WIDTH,
)
from torch import nn

PATCH = 64  # numbers of a cell's latent: 16 channels of 2 x 2
SHARP, SURE = 16.0, 60.0  # how sharply a cell is looked up, score of the right role
SIDE_OF_LATENTS = 32.0  # noise means times this are the numbers
HALF = BEHIND // 2
COPIES = range(len(CHANCES))
AXES = ("x", "y")
LATENT = tuple(f"latent {i}" for i in range(PATCH))
THING = tuple(f"thing {i}" for i in range(FEATURES + 5))
STYLE = tuple(f"style {i}" for i in range(GLOBALS))
SIZES_AT = len(COUNTS)  # in what the layout says: first small, first big, second small, second big, sides, on ground
SIDES_AT = SIZES_AT + 4
GROUND_AT = SIDES_AT + 4


def box_numbers() -> dict[str, tuple[dict[int, float], float]]:
    """Channel -> weights of what the layout says, and a constant: each copy's part of the picture, and flags."""
    found: dict[str, tuple[dict[int, float], float]] = {}
    parts: dict[str, tuple] = {str(count): boxes for count, boxes in COUNTED.items()}
    parts |= {name: (HALVES[a], HALVES[b]) for name, (a, b) in RELATIONS.items()}
    for copy in COPIES:
        for number, name in enumerate(("x", "y", "wide", "high")):
            weights = {COUNTS.index(kind): boxes[copy][number] for kind, boxes in parts.items() if copy < len(boxes)}
            if copy == 0:  # a thing alone at a side
                for at, side in enumerate(("left", "right", "top", "bottom")):
                    weights[SIDES_AT + at] = HALVES[side][number] - COUNTED[1][0][number]
            found[f"{name} {copy}"] = weights, 0.0
        found[f"on {copy}"] = {COUNTS.index(kind): 1.0 for kind, boxes in parts.items() if copy < len(boxes)}, 0.0
    free = {COUNTS.index("1"): 1.0} | {SIDES_AT + at: -1.0 for at in range(4)}
    found["free"] = free, 0.0
    found["small"], found["big"] = ({SIZES_AT: 1.0}, 0.0), ({SIZES_AT + 1: 1.0}, 0.0)
    found["ground"] = {GROUND_AT: 1.0}, 0.0
    found["none"] = {COUNTS.index("none"): 1.0}, 0.0
    found["second"] = {COUNTS.index(name): 1.0 for name in RELATIONS}, 0.0
    for number, name in enumerate(STYLE):
        found[name] = {LAID - GLOBALS + number: 1.0}, 0.0
    return found


def box_levels() -> dict[str, list[float]]:
    """Channel of a copy's part of the picture -> the values that it may have, rising: reading is a little off."""
    boxes = [*COUNTED.values(), *((HALVES[a], HALVES[b]) for a, b in RELATIONS.values())]
    found = {}
    for copy in COPIES:
        parts = [box[copy] for box in boxes if copy < len(box)] + (list(HALVES.values()) if copy == 0 else [])
        for number, name in enumerate(("x", "y", "wide", "high")):
            found[f"{name} {copy}"] = sorted({0.0, *(part[number] for part in parts)})
    return found


class Plan:
    """Writes the layers one after another; `rest` is what is left of the last ones for painting."""

    def __init__(self, blocks: list[nn.Module], channels: Channels, decode: torch.Tensor) -> None:
        self.channels, self.decode = channels, decode
        self.blocks = [Attentions(channels, block) for block in blocks]
        self.params = box_numbers()

    def write(self) -> None:
        """All but what paints."""
        for number, layer in enumerate((self._read, self._size, self._ground, self._place, self._whole)):
            gates = Gates(self.channels)
            layer(self.blocks[number], gates)
            gates.write(self.blocks[number].block.ff)
        for half in range(2):
            gates = Gates(self.channels)
            self._behind(self.blocks[5 + half], gates, half)
            (self._inside, self._choose)[half](gates)
            gates.write(self.blocks[5 + half].block.ff)
        self._thing(self.blocks[7])

    def _read(self, block: Attentions, gates: Gates) -> None:
        numbers = [f"number {i}" for i in range(NUMBERS)]
        self.channels.add(*numbers, "columns", "rows", *self.params)
        means = [({f"noise {i}": SIDE_OF_LATENTS}, numbers[i]) for i in range(NUMBERS)]
        for axis, target in (("column", "columns"), ("row", "rows")):
            means.append(({axis: 2.0, "1": -1.0}, target))
        block.mean(means)
        layout = said({ROLE.start + 3: 1 / STRONG})
        weights = [(said(scaled_keys(w, 1 / STRENGTH)), name) for name, (w, _) in self.params.items()]
        block.look([({"1": SURE}, layout)], weights)
        for name, (_, constant) in self.params.items():
            block.shift(name, constant)
        chances = sorted({f"chance {chance}" for pair in CHANCES for chance in pair})
        self.channels.add(*chances, "light is", "warmth is", "usual", "mirrored")
        self.channels.add("behind x", "behind y", "outside")
        for name in chances:
            number = {f"number {name[-1]}": SPREAD}
            gates.add({"1": LEAST}, {name: 1.0})
            gates.positive(plus(number, {"1": 0.5 - LEAST}), {name: 1.0})
            gates.positive(plus(number, {"1": 0.5 - MOST}), {name: -1.0})
        for target, number in (("light is", 4), ("warmth is", 5)):
            twice = {f"number {number}": 2 * SPREAD}
            gates.positive(plus(twice, {"1": 1.0}), {target: 1.0})
            gates.positive(plus(twice, {"1": -1.0}), {target: -1.0})
            gates.add({"1": -1.0}, {target: 1.0})
        gates.step({"number 2": 1.0, "1": -USUALLY}, {"usual": 1.0}, 512.0)
        gates.step({"number 3": 1.0}, {"mirrored": 1.0}, 512.0)
        gates.harden(["small", "big", "free", "ground", "second", *(f"on {copy}" for copy in COPIES)])
        for name, levels in box_levels().items():
            gates.snap(name, levels)
        across = {"column": 1.0, "1": CANVAS / 2 - 1, "columns": -0.5}
        down = {"row": 1.0, "1": CANVAS / 2 - 1, "rows": -0.5}
        gates.add(across, {"behind x": 1.0})
        gates.positive(plus(scaled(across, -1), {"1": -0.5}), {"behind x": 2.0})
        gates.positive(plus(across, {"1": 0.5 - CANVAS}), {"behind x": -2.0})
        gates.step(plus(scaled(across, -1), {"1": -0.25}), {"outside": 1.0})
        gates.step(plus(across, {"1": 0.75 - CANVAS}), {"outside": 1.0})
        gates.add(down, {"behind y": 1.0})
        gates.positive(scaled(down, -1), {"behind y": 1.0})
        gates.positive(plus(down, {"1": 1.0 - CANVAS}), {"behind y": -1.0})
        self.gone = numbers
        gates.clear(self.gone)

    def _size(self, block: Attentions, gates: Gates) -> None:
        self.channels.drop(self.gone)
        self.channels.add("large", "grounded")
        self.channels.add(*(f"{end} {axis} {copy}" for copy in COPIES for axis in AXES for end in ("low", "room")))
        for copy in COPIES:
            for axis, size, start, length in (("x", "columns", "x", "wide"), ("y", "rows", "y", "high")):
                gates.multiply({f"{start} {copy}": 1.0}, {size: 1.0}, {f"low {axis} {copy}": 1.0})
                gates.multiply({f"{length} {copy}": 1.0}, {size: 1.0}, {f"room {axis} {copy}": 1.0})
        big = {"free": 3.0, "big": 2.0, "usual": 1.0, "small": -2.0, "1": -3.5}
        gates.step(big, {"large": 1.0})
        gates.step({"free": 1.0, "ground": 1.0, "1": -1.5}, {"grounded": 1.0})
        self.gone = ["small", "big", "free", "ground", "usual", "columns", *box_levels()]
        gates.clear(self.gone)

    def _ground(self, block: Attentions, gates: Gates) -> None:
        self.channels.drop(self.gone)
        self.channels.add("turned")
        for adds in ({"low y 0": 1.0}, {"room y 0": -1.0}):
            gates.when({"grounded": 1.0}, {"rows": GROUND_FROM, "1": float(GROUND_LOWER)}, adds)
            gates.when({"grounded": 1.0}, {"large": -float(GROUND_LOWER)}, adds)
        gates.when({"mirrored": 1.0}, {"1": CANVAS - 1.0, "behind x": -2.0}, {"behind x": 1.0})
        gates.add({"mirrored": 1.0, "outside": 1.0}, {"turned": 1.0})
        gates.when({"mirrored": 1.0}, {"outside": -2.0}, {"turned": 1.0})
        gates.clear(["rows", "grounded", "mirrored", "outside"])
        self.gone = ["rows", "grounded", "mirrored", "outside"]

    def _place(self, block: Attentions, gates: Gates) -> None:
        self.channels.drop(self.gone)
        for copy, chances in zip(COPIES, CHANCES, strict=True):
            for axis, chance in zip(AXES, chances, strict=True):
                room = {f"room {axis} {copy}": 1.0, "large": float(SMALL - LARGE), "1": 1 - SMALL - 2 * EDGE}
                gates.multiply(room, {f"chance {chance}": 1.0}, {f"low {axis} {copy}": 1.0})
                gates.add({"1": EDGE}, {f"low {axis} {copy}": 1.0})
        self.gone = [name for name in self.channels.at if name.startswith(("room", "chance"))]
        gates.clear(self.gone)

    def _whole(self, block: Attentions, gates: Gates) -> None:
        """Places become whole numbers: the left and upper cell of each copy, the background's cell."""
        self.channels.drop(self.gone)
        self.channels.add(*(f"at {axis} {copy}" for axis in AXES for copy in COPIES))
        self.channels.add("cell x", "cell y")
        for axis in AXES:
            for copy in COPIES:
                for number in range(1, 20 - SMALL + 1):
                    gates.step({f"low {axis} {copy}": 1.0, "1": -float(number)}, {f"at {axis} {copy}": 1.0}, 8192.0)
            for number in range(1, BEHIND_GRID):
                past = {f"cell {axis}": 1.0, f"behind {axis}": -2.0}  # left is which of the two in the cell
                gates.step({f"behind {axis}": 1.0, "1": 0.75 - 2.0 * number}, past)
        self.gone = [f"low {axis} {copy}" for axis in AXES for copy in COPIES]
        gates.clear(self.gone)

    def _behind(self, block: Attentions, gates: Gates, half: int) -> None:
        if half == 0:
            self.channels.drop([*self.gone, *(f"noise {i}" for i in range(NUMBERS))])
            self.channels.add("studio", *LATENT, *(f"behind {i}" for i in range(HALF)))
        keys = self._keys({ROLE.start + 2: 1.0})
        asks = [({"cell x": SHARP}, keys[0]), ({"cell y": SHARP}, keys[1]), ({"1": SHARP}, keys[2])]
        places = [*range(FEATURE_PLACES.start, FEATURE_PLACES.stop), *range(MORE_PLACES.start, MORE_PLACES.stop)]
        own = places[half * HALF : (half + 1) * HALF]
        values = [(said({place: 1.0}), f"behind {i}") for i, place in enumerate(own)]
        if half == 0:
            values.append((said({0: 1 / (2 * STRENGTH)}), "studio"))
        block.look([*asks, ({"1": SURE}, keys[3])], values)
        for mirrored in range(2):
            for line in range(2):
                for column in range(2):
                    flags = [("turned", mirrored), ("behind y", line), ("behind x", column)]
                    gate = {"1": 40.0 * (0.5 - sum(wanted for _, wanted in flags))}
                    gate |= {name: 40.0 * (2 * wanted - 1) for name, wanted in flags}
                    for number in range(PATCH):
                        rows = self.decode[mirrored, line, column, :, number]
                        value = {f"behind {i}": float(rows[half * HALF + i]) for i in range(HALF)}
                        value["1"] = float(rows[-1]) * half
                        gates.unit(value, gate, {LATENT[number]: 1 / 20.0})
        gates.clear([f"behind {i}" for i in range(HALF)])

    def _inside(self, gates: Gates) -> None:
        """How many of a copy's four borders a cell is on the right side of; 4 and nothing missing is inside."""
        self.channels.add(*(f"borders {copy}" for copy in COPIES))
        for copy in COPIES:
            for axis, own in (("x", "column"), ("y", "row")):
                off = {own: 1.0, f"at {axis} {copy}": -1.0, "1": -1.0}
                gates.step(plus(off, {"1": 0.4}), {f"borders {copy}": 1.0}, 64.0)
                side = {"1": SMALL - 0.6, "large": float(LARGE - SMALL)}
                gates.step(plus(side, scaled(off, -1)), {f"borders {copy}": 1.0}, 64.0)
            gates.add({f"on {copy}": 1.0, "1": -1.0}, {f"borders {copy}": 10.0})
        self.gone = [f"on {copy}" for copy in COPIES]
        gates.clear(self.gone)

    def _choose(self, gates: Gates) -> None:
        """Of the copies' boxes the one this cell lies in; and where nothing is said there is nothing, so that guidance
        only makes the picture larger."""
        self.channels.drop(self.gone)
        self.channels.add("silent", "is inside", "is large", "is second", "in x", "in y")
        for copy in COPIES:
            gate = {f"borders {copy}": 40.0, "1": -140.0}  # 20 inside
            gates.unit({"1": 1.0}, gate, {"is inside": 1 / 20.0})
            gates.unit({"column": 1.0, f"at x {copy}": -1.0, "1": -1.0}, gate, {"in x": 1 / 20.0})
            gates.unit({"row": 1.0, f"at y {copy}": -1.0, "1": -1.0}, gate, {"in y": 1 / 20.0})
            if copy == 0:
                gates.unit({"large": 1.0}, gate, {"is large": 1 / 20.0})
            if copy == 1:
                gates.unit({"second": 1.0}, gate, {"is second": 1 / 20.0})
        gates.step({"none": 1.0, "studio": 1.0, "1": -1.25}, {"silent": 1.0})
        gone = ["large", "second", "none", "studio", "cell x", "cell y", "behind x", "behind y", "turned"]
        gone += [name for name in self.channels.at if name.startswith(("borders", "at "))]
        gates.clear(gone)
        self.gone = [*gone, *(f"behind {i}" for i in range(HALF))]

    def _thing(self, block: Attentions) -> None:
        self.channels.drop(self.gone)
        self.channels.add(*THING)
        large = said({IS_LARGE: 1 / WEAK})
        keys = self._keys({})
        asks: list[tuple[Linear, torch.Tensor]] = [
            ({"in x": SHARP}, keys[0]),
            ({"in y": SHARP}, keys[1]),
            ({"is inside": SHARP}, keys[2]),
            ({"is large": SURE}, large),
            ({"is inside": SURE, "is large": -SURE, "is second": -SURE}, said({ROLE.start: 1 / STRONG}) - large),
            ({"is second": SURE}, said({ROLE.start + 1: 1 / STRONG})),
            ({"1": SURE, "is inside": -SURE}, said({ROLE.start + 3: 1 / STRONG})),
        ]
        values = [(said({FEATURE_PLACES.start + i: 1.0}), THING[i]) for i in range(FEATURES)]
        values += [(said({ROW + 1 + i: 1 / STRENGTH}), THING[FEATURES + i]) for i in range(5)]
        block.look(asks, values)

    def _keys(self, role: dict[int, float]) -> list[torch.Tensor]:
        """Column, row and -(column^2 + row^2) / 2 of a position, and a role."""
        column, row, square = (torch.zeros(WIDTH) for _ in range(3))
        at = torch.arange(LARGE).float()
        column[COLUMNS], row[LINES] = at / WEAK, at / WEAK
        square[COLUMNS] = square[LINES] = -at.square() / 2 / WEAK
        return [steady(column), steady(row), steady(square), said(scaled_keys(role, 1 / STRONG))]
