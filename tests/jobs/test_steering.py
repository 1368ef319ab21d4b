"""What people do to jobs that wait: another order, another priority, cancel all, clear what has ended."""

from collections.abc import Callable

import pytest

from app.core.errors import UnknownJob
from app.core.schema import JobState, Move
from app.jobs.history import StoredEvent
from app.jobs.order import NotQueued
from app.jobs.table import JobTable

from .things import a_request, drain, queue, up_to


def order(table: JobTable) -> list[str]:
    return [job.request.prompt for job in table.running_order()]


def test_a_job_moves_among_its_callers_own_and_nobody_elses_turn_changes(table: JobTable) -> None:
    own = queue(table, "a", 4)
    queue(table, "b", 3)
    assert order(table) == ["a 0", "b 0", "a 1", "b 1", "a 2", "b 2", "a 3"]
    assert table.move(own[3].id, Move.FRONT).position == 1
    assert order(table) == ["a 3", "b 0", "a 0", "b 1", "a 1", "b 2", "a 2"]
    table.move(own[2].id, Move.UP)
    table.move(own[3].id, Move.DOWN)
    assert order(table) == ["a 0", "b 0", "a 3", "b 1", "a 2", "b 2", "a 1"]
    for job, to in ((own[0], Move.UP), (own[0], Move.FRONT), (own[1], Move.DOWN)):
        table.move(job.id, to)  # at the end of its way it stays
    assert drain(table, 7) == ["a 0", "b 0", "a 3", "b 1", "a 2", "b 2", "a 1"]


def test_what_somebody_moved_before_others_is_not_overtaken_for_a_loaded_model(table: JobTable) -> None:
    queue(table, "a", 3)
    [other] = queue(table, "a", 1, model="sdxl")
    table.move(other.id, Move.FRONT)
    [job] = table.claim(loaded=["pocket"])
    assert job.request.model == "sdxl"
    assert drain(table, 3, loaded=["pocket"]) == ["a 0", "a 1", "a 2"]


def test_a_moved_job_keeps_its_place_when_its_engine_crashes(table: JobTable) -> None:
    jobs = queue(table, "a", 3)
    table.move(jobs[2].id, Move.FRONT)
    [job] = table.claim()
    table.requeue(job, crashed=True)
    again = table.get(jobs[2].id)
    assert (again.position, again.crashes, again.max_crashes) == (1, 1, 3)
    assert drain(table, 3) == ["a 2", "a 0", "a 1"]


def test_another_priority_goes_before_everybody_or_behind(table: JobTable) -> None:
    own, other = queue(table, "a", 2), queue(table, "b", 2)
    assert table.set_priority(other[1].id, 5).position == 1
    assert table.set_priority(own[0].id, -1).position == 4
    assert order(table) == ["b 1", "b 0", "a 1", "a 0"]
    assert table.move(own[1].id, Move.DOWN).position == 3  # it passes none of another priority


def test_what_does_not_wait_has_no_place_to_change(table: JobTable) -> None:
    [job] = queue(table, "a", 1)
    table.claim()
    for change in (lambda: table.move(job.id, Move.UP), lambda: table.set_priority(job.id, 1)):
        with pytest.raises(NotQueued, match="The job is running"):
            change()
    with pytest.raises(UnknownJob):
        table.move("nobody", Move.UP)


def test_all_jobs_of_one_caller_are_cancelled_and_told_and_the_others_stay(
    a_table: Callable[..., JobTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    table = a_table(on_event=lambda topic, kind, data, seq=None: told.append(kind))
    own, other = queue(table, "a", 5), queue(table, "b", 2)
    [running] = table.claim()
    monkeypatch.setattr("app.jobs.steering.CANCELLED_AT_ONCE", 2)
    assert table.cancel_all("a") == 5
    assert running.id == own[0].id
    assert table.cancel_requested([running.id]) == {running.id}
    assert table.finish_cancelled(running)
    assert [table.get(job.id).state for job in own] == [JobState.CANCELLED] * 5
    assert [table.get(job.id).state for job in other] == [JobState.QUEUED] * 2
    assert told.count("cancelled") == 5
    assert table.cancel_all("a") == 0
    assert table.cancel_all() == 2


def test_what_has_ended_is_cleared_from_the_list_and_is_still_there(table: JobTable) -> None:
    own = queue(table, "a", 3)
    [other] = queue(table, "b", 1)
    table.cancel(other.id)
    key = {"origin": "api", "caller": "a", "idempotency_key": "once"}
    kept = table.submit(a_request("a once"), **key)[0]
    drain(table, 2)
    table.cancel(kept.id)
    assert table.clear("a") == 3
    assert table.clear("a") == 0

    def shown(**asked: object) -> list[str]:
        return [job.id for job in table.page(with_cleared=False, **asked).items]

    assert shown() == [other.id, own[2].id]
    assert shown(states=[JobState.SUCCEEDED, JobState.FAILED]) == []
    assert len(table.page().items) == 5
    assert table.submit(a_request("a once"), **key) == (table.get(kept.id), False)
    events: list[StoredEvent] = table.events_after(own[0].id)
    assert events[-1].kind == "succeeded"
    assert table.clear() == 1


def test_the_line_is_paged_while_it_moves_on_and_searched(table: JobTable) -> None:
    queue(table, "apple", 7)
    queue(table, "pear", 2)
    whole = order(table)
    table.claim(capacity=up_to(2))
    first = table.line(limit=3)
    second = table.line(limit=3, cursor=first.next)
    last = table.line(limit=3, cursor=second.next)
    assert [job.request.prompt for page in (first, second, last) for job in page.items] == whole
    assert last.next is None
    for job in first.items:
        table.cancel(job.id)  # what the cursor names has ended: what is left is shown, and none is missing
    assert [job.request.prompt for job in table.line(limit=9, cursor=first.next).items][-6:] == whole[3:]
    found = table.line(words="PEAR 1").items
    assert [job.request.prompt for job in found] == ["pear 1"]
    assert table.page(words=found[0].id[:8]).items[0].id == found[0].id
    assert table.page(words="100%_").items == ()
