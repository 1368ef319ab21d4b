"""The time left of a running job, from the pace of its own steps."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from app.core.schema import Job, JobState
from app.engine.base import EngineEvent
from app.jobs.forecast import Forecast
from app.jobs.live import LiveEvents
from app.jobs.table import JobTable

from .things import Clock, a_request, saved_images

STEPS, STEP_S, DECODE_S = 20, 0.5, 3.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


def a_job(**changes: object) -> Job:
    request = a_request(num_inference_steps=STEPS, **changes)
    return Job(
        id=str(uuid.uuid4()), state=JobState.RUNNING, origin="api", request=request, created_at=datetime.now(UTC)
    )


def work_of(job: Job) -> float:
    request = job.request
    return (request.width or 0) * (request.height or 0) / 1e6 * STEPS * request.num_images


def left(forecast: Forecast, job: Job, work: float | None = None) -> float | None:
    work = work_of(job) if work is None else work
    return forecast.left(job.id, "pocket", megapixel_steps=work, images=job.request.num_images)


def draw(forecast: Forecast, clock: Clock, job: Job, *, stop_at: int | None = None, work: float | None = None) -> None:
    """Every picture: its steps, then its decoding, as a CPU does it. `stop_at` a step of all."""
    of = STEPS * job.request.num_images
    for step in range(1, of + 1):
        clock.pass_s(STEP_S)
        forecast.step(job.id, step, of)
        if step == stop_at:
            return
        if step % STEPS == 0:
            clock.pass_s(DECODE_S)
    forecast.finished(job, megapixel_steps=work_of(job) if work is None else work)


def test_nothing_is_said_before_the_pace_of_the_steps_is_known(clock: Clock) -> None:
    forecast, job = Forecast(now=clock), a_job()
    assert left(forecast, job) is None
    forecast.step(job.id, 1, STEPS)
    assert left(forecast, job) is None


def test_the_pace_of_the_running_steps_gives_the_time_left_from_the_second_step_on(clock: Clock) -> None:
    forecast, job = Forecast(now=clock), a_job()
    for step in (1, 2):
        clock.pass_s(STEP_S)
        forecast.step(job.id, step, STEPS)
    # Of a model that drew nothing yet, decoding is taken for one step.
    assert left(forecast, job) == pytest.approx((STEPS - 2 + 1) * STEP_S)
    clock.pass_s(STEP_S / 2)
    assert left(forecast, job) == pytest.approx((STEPS - 2.5 + 1) * STEP_S)
    clock.pass_s(100)  # a step that takes long is still one step
    assert left(forecast, job) == pytest.approx((STEPS - 3 + 1) * STEP_S)


@pytest.mark.parametrize("images", [1, 4])
def test_what_a_picture_costs_beside_its_steps_is_learned_from_the_job_before(clock: Clock, images: int) -> None:
    forecast = Forecast(now=clock)
    draw(forecast, clock, a_job(num_images=images))
    job = a_job(num_images=images)
    draw(forecast, clock, job, stop_at=5)
    truth = (STEPS * images - 5) * STEP_S + images * DECODE_S
    assert left(forecast, job) == pytest.approx(truth, rel=0.05)


def test_a_larger_picture_takes_longer_beside_its_steps_too(clock: Clock) -> None:
    forecast = Forecast(now=clock)
    draw(forecast, clock, a_job())
    large = a_job(width=128, height=128)
    draw(forecast, clock, large, stop_at=STEPS)
    assert left(forecast, large) == pytest.approx(4 * DECODE_S, rel=0.1)
    clock.pass_s(100)
    assert left(forecast, large) == 0


def test_a_size_that_is_asked_for_and_not_drawn_makes_no_difference(clock: Clock) -> None:
    forecast, drawn = Forecast(now=clock), work_of(a_job())  # a model that draws one size, and scales
    draw(forecast, clock, a_job(width=512, height=512), work=drawn)
    job = a_job(width=32, height=32)
    draw(forecast, clock, job, stop_at=STEPS)
    assert left(forecast, job, drawn) == pytest.approx(DECODE_S)


def test_another_try_of_a_job_begins_anew(clock: Clock) -> None:
    forecast, job = Forecast(now=clock), a_job()
    draw(forecast, clock, job, stop_at=10)
    forecast.step(job.id, 1, STEPS)
    assert left(forecast, job) is None


def test_a_table_and_its_live_events_tell_the_time_by_the_steps(a_table: Callable[..., JobTable], clock: Clock) -> None:
    forecast = Forecast(now=clock)
    table, live = a_table(forecast=forecast), LiveEvents(forecast)
    for _ in range(3):  # many quick jobs before, from which nothing of this one's steps can be known
        table.submit(a_request(), origin="api")
        [small] = table.claim()
        table.finish(small, saved_images(small), 2.0)
    table.submit(a_request(num_inference_steps=100), origin="api")
    queued = table.submit(a_request(), origin="api")[0]
    [job] = table.claim()
    for step in range(1, 21):
        clock.pass_s(0.1)
        live.step(EngineEvent(job.id, "step", step, 100))
    live.step(EngineEvent(job.id, "step", 20, 100, "saving"))  # not one of the steps
    assert table.get(job.id).eta_s == pytest.approx(8.1)
    assert table.get(queued.id).eta_s == pytest.approx(8.1 + 2.2)
