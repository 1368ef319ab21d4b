"""What a part of the benchmarks is told and what it gives, and the arithmetic that all of them share."""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

BOOTSTRAPS = 4000


@dataclass(frozen=True)
class Figure:
    """One number. `low` and `high`: its 95 % interval, where it has one. `most`, `least`: what is asked of it.

    `curve` and `at`: it is a point of this curve.
    """

    name: str
    value: float
    unit: str = "x"
    low: float | None = None
    high: float | None = None
    most: float | None = None
    least: float | None = None
    curve: str = ""
    at: float | None = None

    @property
    def holds(self) -> bool | None:
        """True if it is as asked; None if nothing is asked."""
        if self.most is None and self.least is None:
            return None
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)


@dataclass(frozen=True)
class Options:
    """How a part measures. `work` is a folder that is kept; `models` the folder of `model`, which draws quickly.

    `full`: all points and many pairs instead of a few. `tiny`: the smallest that runs at all, to try the script itself.
    `large`, `size`, `steps`: the pipeline of real size, its picture's side and steps; `only`: of its contenders.
    """

    work: Path
    models: Path
    model: str = "pocket"
    full: bool = False
    tiny: bool = False
    large: str = "sd15"
    size: int = 256
    steps: int = 4
    only: tuple[str, ...] = field(default=())

    @property
    def pairs(self) -> int:
        """How many pairs of runs are compared."""
        return 2 if self.tiny else 12 if self.full else 4


Measure = Callable[[Options], Iterator[Figure]]


def seconds(call: Callable[[], object]) -> float:
    """What it took."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def in_pairs(one: Callable[[], float], other: Callable[[], float], pairs: int) -> list[tuple[float, float]]:
    """What both took, in the order one-other-other-one …, so that what drifts harms neither."""
    found = []
    for number in range(pairs):
        if number % 2 == 0:
            a = one()
            b = other()
        else:
            b = other()
            a = one()
        found.append((a, b))
    return found


def ratio(
    name: str, pairs: Sequence[tuple[float, float]], *, most: float | None = None, least: float | None = None
) -> Figure:
    """The median of second / first, with its 95 % bootstrap interval."""
    ratios = [b / a for a, b in pairs]
    dice = random.Random(0)
    drawn = sorted(statistics.median(dice.choices(ratios, k=len(ratios))) for _ in range(BOOTSTRAPS))
    low, high = drawn[int(0.025 * BOOTSTRAPS)], drawn[int(0.975 * BOOTSTRAPS)]
    return Figure(name, statistics.median(ratios), "x", low, high, most, least)


def milliseconds(name: str, times_s: Sequence[float], **more: float | str | None) -> Figure:
    """The median, in milliseconds, with the 5th and 95th of a hundred beside it."""
    ordered = sorted(times_s)
    low, high = (1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.05, 0.95))
    return Figure(name, 1000 * statistics.median(ordered), "ms", low, high, **more)  # type: ignore[arg-type]
