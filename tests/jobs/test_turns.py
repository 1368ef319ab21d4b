"""Several callers, one line: nobody waits behind all that another one has queued."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from app.core.errors import QueueFull
from app.database import writing
from app.jobs.table import JobTable
from app.migrations import upgrade

from .older import at_version
from .things import Clock, a_request, drain, queue, up_to

OLD = "fingerprint, origin, state, priority, model, batch_key, request, num_images, megapixel_steps, attempt, crashes"
ANOTHER = f"""INSERT INTO jobs (id, {OLD}, cancel_requested, created_at)
SELECT :id, {OLD}, cancel_requested, created_at FROM jobs WHERE id = 'an-old-job'"""


def test_with_one_caller_far_ahead_the_next_callers_job_is_next(table: JobTable) -> None:
    queue(table, "flood", 30)
    drain(table, 5)
    [job] = queue(table, "guest", 1)
    assert table.get(job.id).position == 2  # behind the one whose turn it is, which came before
    assert drain(table, 3) == ["flood 5", "guest 0", "flood 6"]


def test_callers_take_turns_and_each_ones_jobs_keep_their_order(table: JobTable) -> None:
    queue(table, "a", 4)
    queue(table, "b", 2)
    queue(table, "c", 3)
    assert drain(table, 9) == ["a 0", "b 0", "c 0", "a 1", "b 1", "c 1", "a 2", "c 2", "a 3"]


def test_a_caller_who_comes_again_and_again_gains_nothing(table: JobTable) -> None:
    queue(table, "patient", 20)
    served: Counter[str] = Counter()
    for _ in range(6):
        queue(table, "eager", 2)
        served.update(prompt.split()[0] for prompt in drain(table, 2))
    assert served["patient"] == served["eager"] == 6


def test_the_place_in_line_is_the_order_of_work(table: JobTable) -> None:
    jobs = [*queue(table, "a", 4), *queue(table, "b", 2), *queue(table, "c", 1)]
    order = [job.request.prompt for job in table.running_order()]
    by_place = sorted((table.get(job.id) for job in jobs), key=lambda job: job.position or 0)
    assert [job.position for job in by_place] == [1, 2, 3, 4, 5, 6, 7]
    assert [job.position for job in table.running_order()] == [1, 2, 3, 4, 5, 6, 7]
    assert [job.request.prompt for job in by_place] == order == drain(table, 7)


def test_a_job_that_overtakes_for_its_loaded_model_uses_up_its_callers_turn(table: JobTable, clock: Clock) -> None:
    queue(table, "a", 1, model="sdxl")
    queue(table, "a", 3)
    queue(table, "b", 2)
    assert drain(table, 4, loaded=["pocket"]) == ["a 0", "b 0", "a 1", "b 1"]
    assert {job.request.model for job in table.running_order()} == {"sdxl", "pocket"}
    clock.pass_s(121)
    [job] = table.claim(loaded=["pocket"])
    assert job.request.model == "sdxl"  # it has waited long enough


def test_a_job_put_back_keeps_its_turn(table: JobTable) -> None:
    queue(table, "a", 3)
    [job] = table.claim()
    queue(table, "b", 1)
    table.requeue(job, crashed=False)
    assert drain(table, 2) == ["a 0", "a 1"]


def test_priority_still_decides_first(table: JobTable) -> None:
    queue(table, "a", 3)
    queue(table, "b", 1)
    table.submit(a_request("urgent"), origin="api", caller="a", priority=1)
    assert drain(table, 3) == ["urgent", "a 0", "b 0"]


def test_jobs_that_share_a_run_are_taken_from_all_callers_in_turn(table: JobTable) -> None:
    queue(table, "a", 5)
    queue(table, "b", 5)
    assert [job.request.prompt for job in table.claim(capacity=up_to(4))] == ["a 0", "b 0", "a 1", "b 1"]


def test_one_caller_may_not_fill_the_queue(a_table: Callable[..., JobTable]) -> None:
    table = a_table(max_queue=6, max_queue_of_caller=3)
    queue(table, "a", 3)
    with pytest.raises(QueueFull, match="This key has 3 jobs in the queue; 3 are allowed"):
        queue(table, "a", 1)
    queue(table, "b", 2)
    drain(table, 1)
    queue(table, "a", 1)
    with pytest.raises(QueueFull, match="This key"):
        queue(table, "a", 1)
    assert table.caller_of(queue(table, "b", 1)[0].id) == "b"
    with pytest.raises(QueueFull, match="The queue is full"):
        queue(table, "c", 1)


def test_nobody_in_particular_has_no_quota(a_table: Callable[..., JobTable]) -> None:
    assert len(queue(a_table(max_queue_of_caller=1), "", 4)) == 4


def test_jobs_of_an_older_database_keep_their_order_and_let_newcomers_in(tmp_path: Path) -> None:
    engine = at_version(tmp_path / "atelier.db", "0002")
    with writing(engine) as connection:
        for number in range(3):
            connection.execute(text(ANOTHER), {"id": f"old-{number}"})
    upgrade(engine)
    table = JobTable(engine, boot_id="new")
    queue(table, "guest", 1)
    assert next(job.id for job in table.running_order()) == "an-old-job"
    assert drain(table, 5) == ["a red apple", "guest 0", "a red apple", "a red apple", "a red apple"]
    engine.dispose()
