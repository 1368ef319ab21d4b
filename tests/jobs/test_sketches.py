"""Which pictures are quick enough to be drawn while somebody types."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from app.catalog import Catalog, ModelEntry
from app.core.errors import DatabaseBusy, JobsComeFirst, SketchReplaced, TooSlowToSketch
from app.core.schema import GenerationRequest
from app.core.settings import Settings
from app.engine.base import Engine, Inputs, Outcome, Watch, Work
from app.jobs.eta import Pace
from app.jobs.signals import Bell, Stopping
from app.jobs.sketches import Drawn, SketchDesk, UntilAJob

PATIENCE_S = 30
REQUEST = GenerationRequest(prompt="a red apple", width=1000, height=1000, num_inference_steps=16)
A_MODEL = """
[quick]
title = "Quick"
path = "quick"
num_inference_steps = 16
good = { num_inference_steps = { low = 3, high = 30 } }
"""


@pytest.fixture
def entry(tmp_path: Path) -> ModelEntry:
    (tmp_path / "catalog.toml").write_text(A_MODEL)
    return Catalog(Settings(models_folder=tmp_path)).get("quick")


@pytest.mark.parametrize(
    ("seconds_a_step", "steps"), [(0.01, 16), (0.05, 8), (0.1, 4), (0.15, 3), (0.2, None), (None, None)]
)
def test_a_sketch_has_as_many_steps_as_half_a_second_allows_and_the_model_draws_well_with(
    entry: ModelEntry, seconds_a_step: float | None, steps: int | None
) -> None:
    known = () if seconds_a_step is None else ((100.0, 100 * seconds_a_step),)
    assert SketchDesk(0.5).steps(REQUEST, entry, Pace(known)) == steps


def test_what_is_too_slow_is_refused_before_anybody_draws(entry: ModelEntry) -> None:
    with pytest.raises(TooSlowToSketch):
        SketchDesk(0.5).draw(REQUEST, entry, who="a", pace=Pace(((1.0, 60.0),)), wake=lambda: None)


class Line:
    """A line that cannot be read at first."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: bool | None = None

    def waiting(self) -> bool:
        self.asked += 1
        if self.answer is None:
            raise DatabaseBusy()
        return self.answer


def test_a_sketch_gives_way_to_a_job_and_the_table_is_asked_only_after_a_ring() -> None:
    bell, stopping, line = Bell(), Stopping(), Line()
    stop = UntilAJob(bell, stopping, line)
    assert (stop(), line.asked) == (False, 0)
    bell.ring()
    assert (stop(), stop(), line.asked) == (False, False, 2)  # the table could not be read, and is asked again
    line.answer = False
    assert (stop(), stop(), line.asked) == (False, False, 3)
    line.answer = True
    bell.ring()
    assert stop()
    line.answer = False
    assert (stop(), line.asked) == (True, 4)
    other = UntilAJob(bell, stopping, line)
    assert not other()
    stopping.asked.set()
    assert other()


class Drawing:
    """An engine that draws until it is told to stop."""

    def __init__(self) -> None:
        self.began = threading.Event()

    def run(self, work: Sequence[Work], inputs: Inputs, watch: Watch) -> None:
        self.began.set()
        deadline = time.monotonic() + PATIENCE_S
        while not watch.cancelled(work[0].job_id):
            assert time.monotonic() < deadline
        watch.ended(work[0].job_id, Outcome(cancelled=True))


def test_a_sketch_that_a_job_ended_is_refused_and_one_that_was_replaced_is_let_go(entry: ModelEntry) -> None:
    desk, engine, came = SketchDesk(0.5), Drawing(), threading.Event()
    any_pace = Pace(((1.0, 0.0),))

    def ask(pool: ThreadPoolExecutor) -> Future[Drawn]:
        came.clear()
        asked = pool.submit(desk.draw, REQUEST, entry, who="a", pace=any_pace, wake=came.set)
        assert came.wait(PATIENCE_S)
        return asked

    def draw(stop: bool) -> bool:
        return desk.draw_one(cast("Engine", engine), cast("Inputs", None), lambda _: True, lambda: stop)

    with ThreadPoolExecutor() as pool:
        first = ask(pool)
        drawing = pool.submit(draw, False)
        assert engine.began.wait(PATIENCE_S)
        second = ask(pool)
        assert drawing.result(PATIENCE_S)
        with pytest.raises(SketchReplaced):
            first.result(PATIENCE_S)
        assert draw(True)
        with pytest.raises(JobsComeFirst):
            second.result(PATIENCE_S)
    assert not draw(False)  # nobody waits
