"""How many pictures share a pass: measured, kept, and never to anybody's disadvantage."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.jobs.passes import TRIED, Passes

from .things import a_request

Seconds = Callable[[int], float]


def made(batch: int, seconds: float) -> Picture:
    return Picture(0, 1, 64, 64, b"", {"batch_size": batch, "seconds": seconds})


def learn(passes: Passes, request: GenerationRequest, takes: Seconds, rounds: int = 40, most: int = 8) -> int:
    """Let an engine with a long line make pass after pass; what it ends with."""
    for number in range(rounds):
        size = passes.best("cuda:0", request, most)
        passes.measured("cuda:0", request, made(size, takes(size) / size * (1 + 1e-6 * number)))
    return passes.best("cuda:0", request, most)


def test_a_pass_grows_while_that_pays_and_no_further() -> None:
    assert learn(Passes(), a_request(), lambda size: 1 + 0.1 * size) == 8
    assert learn(Passes(), a_request(), lambda size: float(max(4, size))) == 4
    assert learn(Passes(), a_request(), lambda size: float(size)) == 1
    assert learn(Passes(), a_request(), lambda size: float(size), most=1) == 1
    assert learn(Passes(), a_request(), lambda size: 1 + 0.1 * size, most=6) == 4


def test_each_model_size_and_device_has_its_own_curve_and_it_outlives_a_restart(tmp_path: Path) -> None:
    passes = Passes(tmp_path / "passes.json")
    learn(passes, a_request(), lambda size: 1.0)
    again = Passes(tmp_path / "passes.json")
    assert again.best("cuda:0", a_request(), 8) == 8
    others = (a_request(width=128), a_request(model="sdxl"))
    assert [again.best("cuda:0", other, 8) for other in others] == [1, 1]
    assert again.best("cuda:1", a_request(), 8) == 1
    (tmp_path / "passes.json").write_text("[half")
    assert Passes(tmp_path / "passes.json").best("cuda:0", a_request(), 8) == 1


def test_pictures_of_one_pass_count_once_and_strange_ones_not_at_all() -> None:
    passes, request = Passes(), a_request()
    assert passes.best("cuda:0", request, 8) == 1
    for _ in range(TRIED + 1):
        passes.measured("cuda:0", request, made(1, 2.0))
    for how in ({}, {"batch_size": 0, "seconds": 1.0}, {"batch_size": 1, "seconds": "fast"}):
        passes.measured("cuda:0", request, Picture(0, 1, 64, 64, b"", how))
    assert passes.best("cuda:0", request, 8) == 1


def p99(takes: Seconds, most: int, load: float) -> float:
    """Of 3000 jobs that come at random moments to an engine of fixed times: the wait that one in a hundred exceeds.

    `load` is how much comes, as a share of what passes of one picture can do. The clock is the simulation's own.
    """
    dice, passes, request = random.Random(5), Passes(), a_request()
    comes, moment = [], 0.0
    for _ in range(3000):
        moment += dice.expovariate(load / takes(1))
        comes.append(moment)
    now, first, waits = 0.0, 0, []
    while first < len(comes):
        now = max(now, comes[first])
        size = passes.best("cuda:0", request, most)
        taken = [at for at in comes[first : first + size] if at <= now]
        now += takes(len(taken))
        passes.measured("cuda:0", request, made(len(taken), takes(len(taken)) / len(taken) * (1 + 1e-9 * first)))
        waits += [now - at for at in taken]
        first += len(taken)
    return sorted(waits)[int(0.99 * len(waits))]


@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
def test_under_random_load_one_in_a_hundred_waits_no_longer_than_without_sharing(load: float) -> None:
    paying, not_paying = (lambda size: 0.7 + 0.3 * size), (lambda size: float(size))
    assert p99(paying, 8, load) <= p99(paying, 1, load)
    assert p99(not_paying, 8, load) <= p99(not_paying, 1, load) + 1  # a trial or two of a pass twice as long
