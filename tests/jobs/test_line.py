"""Place in line and the ETA that is learned from past jobs."""

from collections.abc import Callable

import pytest

from app.catalog import ModelEntry
from app.core.schema import Job
from app.jobs.eta import OVERHEAD_S
from app.jobs.table import JobTable

from .things import Clock, a_request, saved_images


def run_one(table: JobTable, clock: Clock, seconds: float, **changes: object) -> Job:
    table.submit(a_request(**changes), origin="api")
    [job] = table.claim()
    clock.pass_s(seconds)
    table.finish(job, saved_images(job), seconds)
    return job


def test_without_any_past_job_the_eta_is_unknown(table: JobTable) -> None:
    assert table.submit(a_request(), origin="api")[0].eta_s is None


def test_the_eta_is_the_median_of_jobs_with_the_same_work(table: JobTable, clock: Clock) -> None:
    for seconds in (2.0, 2.2, 30.0):
        run_one(table, clock, seconds)
    assert table.submit(a_request(), origin="api")[0].eta_s == pytest.approx(2.2 + OVERHEAD_S)


def test_other_sizes_steps_and_numbers_of_images_are_scaled(table: JobTable, clock: Clock) -> None:
    run_one(table, clock, 2.0)
    job = table.submit(a_request(width=128, num_inference_steps=8, num_images=2), origin="api")[0]
    assert job.eta_s == pytest.approx(2.0 * 8 + OVERHEAD_S)
    assert table.submit(a_request(model="sdxl"), origin="api")[0].eta_s is None  # that model never ran here


def test_of_a_model_that_knows_only_some_sizes_the_drawn_pixels_count(table: JobTable, clock: Clock) -> None:
    entry = ModelEntry(key="pocket", title="Pocket", shapes=("64x64", "96x64"))
    run_one(table, clock, 2.0)
    large = table.submit(a_request(width=640, height=640), origin="api", entry=entry)[0]
    assert large.eta_s == pytest.approx(2.0 + OVERHEAD_S)
    table.cancel(large.id)
    wide = table.submit(a_request(width=1536, height=1024), origin="api", entry=entry)[0]
    assert wide.eta_s == pytest.approx(2.0 * 96 / 64 + OVERHEAD_S)


def test_what_every_job_costs_is_told_apart_from_what_its_steps_cost(table: JobTable, clock: Clock) -> None:
    for steps in (4, 8, 12):
        run_one(table, clock, 3.0 + 0.5 * steps, num_inference_steps=steps)
    run_one(table, clock, 90.0, num_inference_steps=8)  # once, something was in the way
    job = table.submit(a_request(num_inference_steps=100), origin="api")[0]
    assert job.eta_s == pytest.approx(3.0 + 0.5 * 100 + OVERHEAD_S, rel=0.05)


def test_the_eta_counts_what_is_ahead_and_what_already_runs(a_table: Callable[..., JobTable], clock: Clock) -> None:
    table = a_table()
    run_one(table, clock, 10.0)
    each = 10.0 + OVERHEAD_S
    jobs = [table.submit(a_request(), origin="api")[0] for _ in range(3)]
    assert table.get(jobs[2].id).eta_s == pytest.approx(3 * each)
    table.claim()
    clock.pass_s(4)
    assert table.get(jobs[0].id).eta_s == pytest.approx(each - 4)
    assert table.get(jobs[2].id).eta_s == pytest.approx(3 * each - 4)
    clock.pass_s(100)  # overdue, but never negative
    assert table.get(jobs[0].id).eta_s == 0
    assert a_table(devices=2).get(jobs[2].id).eta_s == pytest.approx(each / 2 + each)


def test_lists_and_single_looks_agree_about_place_and_eta(table: JobTable, clock: Clock) -> None:
    run_one(table, clock, 3.0)
    run_one(table, clock, 5.0, model="sdxl")
    for number in range(9):
        model = "sdxl" if number % 3 == 0 else "pocket"
        table.submit(a_request(model=model, width=64 * (1 + number % 2)), origin="api", priority=number % 3)
    table.claim()
    clock.pass_s(1)
    for job in (*table.page().items, *table.running_order()):
        single = table.get(job.id)
        assert (single.position, single.eta_s) == (job.position, pytest.approx(job.eta_s))
