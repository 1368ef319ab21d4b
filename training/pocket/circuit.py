"""Computing by construction in the layers of an ordinary transformer: named channels, and feed-forward units as gates.

Two channels hold +HEAVY and -HEAVY everywhere, so that a norm divides every cell by the same number and its weight can
take that back. One channel is always 0, which shows what the norm's mean did to it, so that layers can take that back,
too. A GEGLU unit is value * gelu(gate): two of them multiply exactly, one with a steep gate passes a value or nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import torch
from torch import nn

HEAVY = 3000.0
GATE = 10.0  # gelu(GATE) is GATE, gelu(-GATE) is 0
RISE = 16.0
SOON = 0.25  # share of the way between two values on which one becomes the other
Linear = dict[str, float]  # weight of each channel; "1" is the constant


class Channels:
    """Names for the channels of a stream; a name may be given to what another one has left free."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.at = {"heavy": 0, "light": 1, "zero": 2}
        self.free = list(range(3, width))

    def add(self, *names: str) -> None:
        """New names."""
        for name in names:
            self.at[name] = self.free.pop(0)

    def drop(self, names: Iterable[str]) -> None:
        """Names no longer used; whoever takes their channels finds them 0 only if they were cleared."""
        for name in list(names):
            self.free.append(self.at.pop(name))

    @property
    def scale(self) -> float:
        """What a norm divides by."""
        return HEAVY * (2 / self.width) ** 0.5

    def row(self, weights: Linear, constant: bool = False) -> tuple[torch.Tensor, float]:
        """A row of a layer behind a norm, and its bias; without a bias (`constant`) the constant comes from HEAVY."""
        row, bias = torch.zeros(self.width), 0.0
        for name, weight in weights.items():
            if name != "1":
                row[self.at[name]] += weight
            elif constant:
                row[self.at["heavy"]] += weight / HEAVY
            else:
                bias += weight
        row[self.at["zero"]] -= row.sum()
        return row, bias


class Gates:
    """Collects the units of one feed-forward layer."""

    def __init__(self, channels: Channels) -> None:
        self.channels = channels
        self.units: list[tuple[Linear, Linear, Linear]] = []

    def unit(self, value: Linear, gate: Linear, adds: Linear) -> None:
        """adds += value * gelu(gate)."""
        self.units.append((value, gate, adds))

    def add(self, value: Linear, adds: Linear) -> None:
        """adds += value."""
        self.unit(value, {"1": GATE}, scaled(adds, 1 / GATE))

    def multiply(self, value: Linear, by: Linear, adds: Linear) -> None:
        """adds += value * by."""
        self.unit(value, by, adds)
        self.unit(value, scaled(by, -1), scaled(adds, -1))

    def when(self, condition: Linear, value: Linear, adds: Linear) -> None:
        """adds += value where `condition` is 1 (and not 0)."""
        self.unit(value, scaled(condition, GATE), scaled(adds, 1 / GATE))

    def positive(self, value: Linear, adds: Linear, sharp: float = 40.0) -> None:
        """adds += value where it is above 0."""
        self.unit({"1": 1.0}, scaled(value, sharp), scaled(adds, 1 / sharp))

    def step(self, value: Linear, adds: Linear, sharp: float = 32.0) -> None:
        """adds += 1 where `value` is above 0; from 0 to RISE / sharp it rises.

        What float16 makes of a large constant is the same in both units, and small in what is left of it.
        """
        inside = scaled(value, sharp)
        constant = inside.pop("1", 0.0)
        most = float(torch.tensor(constant / HEAVY).half())
        for below, sign in ((0.0, 1), (RISE, -1)):
            gate = plus(inside, {"heavy": most, "1": constant - most * HEAVY - below})
            self.unit({"1": 1.0}, gate, scaled(adds, sign / RISE))

    def harden(self, names: Iterable[str]) -> None:
        """Nearly 0 or 1 becomes exactly that."""
        for name in names:
            self.step({name: 1.0, "1": -0.25}, {name: 1.0})
            self.add({name: 1.0}, {name: -1.0})

    def snap(self, name: str, levels: list[float]) -> None:
        """What is nearly one of these rising values becomes exactly that; the first is 0."""
        for below, above in itertools.pairwise(levels):
            rise = SOON * (above - below)
            start = (above + below - rise) / 2
            self.step({name: 1.0, "1": -start}, {name: above - below}, RISE / rise)
        self.add({name: 1.0}, {name: -1.0})

    def clear(self, names: Iterable[str]) -> None:
        """These channels become 0."""
        for name in names:
            self.add({name: 1.0}, {name: -1.0})

    @torch.no_grad()
    def write(self, feed: nn.Module) -> None:
        """Into diffusers' FeedForward."""
        project, out = feed.net[0].proj, feed.net[2]
        inner = out.in_features
        if len(self.units) > inner:
            raise ValueError(f"{len(self.units)} units, {inner} fit")
        for layer in (project, out):
            layer.weight.zero_()
            layer.bias.zero_()
        for number, (value, gate, adds) in enumerate(self.units):
            for place, weights in ((number, value), (inner + number, gate)):
                project.weight[place], project.bias[place] = self.channels.row(weights)
            for name, weight in adds.items():
                out.weight[self.channels.at[name], number] += weight


def scaled(weights: Linear, factor: float) -> Linear:
    """Every weight times the factor."""
    return {name: factor * weight for name, weight in weights.items()}


def plus(*parts: Linear) -> Linear:
    """The sum."""
    total: Linear = {}
    for part in parts:
        for name, weight in part.items():
            total[name] = total.get(name, 0.0) + weight
    return total


def pair(layer: nn.Conv2d, target: int, source: int, weight: float, tap: tuple[int, int] = (1, 1)) -> None:
    """target and target + 1 get plus and minus what source and source + 1 are plus and minus of; silu(x) - silu(-x) is
    x, and a pair does not move a norm's mean."""
    for place, sign in ((target, 1), (target + 1, -1)):
        layer.weight[(place, source, *tap)] += sign * weight
        layer.weight[(place, source + 1, *tap)] -= sign * weight
