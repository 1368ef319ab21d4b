"""What the job table promises, on SQLite and on PostgreSQL alike."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from app.catalog import ModelEntry
from app.core.errors import IdempotencyConflict, InvalidRequest, QueueFull, UnknownJob
from app.core.schema import JobError, JobState
from app.jobs.table import JobTable

from .things import Clock, a_request, saved_images, up_to


def test_a_submitted_job_is_queued_with_its_place_and_its_first_event(table: JobTable) -> None:
    job, created = table.submit(a_request(), origin="api")
    assert created
    assert (job.state, job.position, job.attempt, job.origin) == (JobState.QUEUED, 1, 0, "api")
    assert job.request == a_request()
    assert [(event.seq, event.kind) for event in table.events_after(job.id)] == [(1, "queued")]


def test_the_same_key_gives_the_same_job_and_another_request_is_refused(table: JobTable) -> None:
    first, _ = table.submit(a_request(), origin="api", idempotency_key="k", fingerprint="sent-1")
    again, created = table.submit(a_request(seed=7), origin="api", idempotency_key="k", fingerprint="sent-1")
    assert (again.id, created) == (first.id, False)
    with pytest.raises(IdempotencyConflict):
        table.submit(a_request(), origin="api", idempotency_key="k", fingerprint="sent-2")
    assert table.counts()[JobState.QUEUED] == 1


def test_one_key_sent_by_many_threads_makes_one_job(a_table: Callable[..., JobTable]) -> None:
    tables = [a_table("boot-1"), a_table("boot-2")]
    found: list[str] = []

    def send(number: int) -> None:
        job, _ = tables[number % 2].submit(a_request(), origin="api", idempotency_key="k")
        found.append(job.id)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) == 1
    assert sum(tables[0].counts().values()) == 1


def test_a_full_queue_refuses_but_still_answers_a_retry(a_table: Callable[..., JobTable]) -> None:
    table = a_table(max_queue=2)
    first, _ = table.submit(a_request(), origin="api", idempotency_key="k")
    table.submit(a_request(), origin="api")
    with pytest.raises(QueueFull) as refused:
        table.submit(a_request(), origin="api")
    assert refused.value.retry_after_s >= 1
    assert table.submit(a_request(), origin="api", idempotency_key="k")[0].id == first.id
    table.claim()
    assert table.submit(a_request(), origin="api")[1]


def test_an_unknown_id_is_an_error_everywhere(table: JobTable) -> None:
    for call in (table.get, table.cancel, table.events_after):
        with pytest.raises(UnknownJob, match="nonsense"):
            call("nonsense")


def test_jobs_are_claimed_by_priority_then_in_the_order_they_came(table: JobTable, clock: Clock) -> None:
    low = table.submit(a_request(), origin="api", priority=-1)[0]
    first = table.submit(a_request(), origin="api")[0]
    second = table.submit(a_request(), origin="api")[0]
    high = table.submit(a_request(), origin="api", priority=5)[0]
    clock.pass_s(1_000)  # old age does not overrule priority
    claimed = [table.claim()[0].id for _ in range(4)]
    assert claimed == [high.id, first.id, second.id, low.id]
    assert table.claim() == []


def test_a_loaded_model_is_preferred_until_another_has_waited_two_minutes(table: JobTable, clock: Clock) -> None:
    old = table.submit(a_request(model="sdxl"), origin="api")[0]
    loaded = [table.submit(a_request(), origin="api")[0] for _ in range(2)]
    assert table.claim(loaded=["pocket"])[0].id == loaded[0].id
    clock.pass_s(121)
    table.submit(a_request(), origin="api")
    assert table.claim(loaded=["pocket"])[0].id == old.id


def test_a_claim_of_several_takes_only_jobs_that_share_a_run(table: JobTable) -> None:
    first = table.submit(a_request("one"), origin="api")[0]
    table.submit(a_request("other size", width=128), origin="api")
    third = table.submit(a_request("two", seed=9), origin="api")[0]
    table.submit(a_request("three"), origin="api")
    claimed = table.claim(capacity=up_to(2))
    assert [job.id for job in claimed] == [first.id, third.id]
    assert all(job.state == JobState.RUNNING and job.attempt == 1 for job in claimed)


def test_a_job_that_an_engine_crashed_under_runs_alone(table: JobTable) -> None:
    poison = table.submit(a_request("poison"), origin="api")[0]
    table.submit(a_request("innocent"), origin="api")
    table.requeue(table.claim()[0], crashed=True)
    assert [job.id for job in table.claim(capacity=up_to(8))] == [poison.id]


def test_many_claimers_never_get_the_same_job(a_table: Callable[..., JobTable]) -> None:
    tables = [a_table("boot-1"), a_table("boot-2")]
    ids = {tables[0].submit(a_request(), origin="api")[0].id for _ in range(24)}
    claimed: list[str] = []

    def work(number: int) -> None:
        while jobs := tables[number % 2].claim(capacity=up_to(2)):
            claimed.extend(job.id for job in jobs)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(ids)


def test_finishing_shows_images_and_events_without_gaps(table: JobTable, clock: Clock) -> None:
    table.submit(a_request(num_images=2), origin="ui")
    [job] = table.claim()
    clock.pass_s(3)
    assert table.finish(job, saved_images(job), seconds=2.5)
    done = table.get(job.id)
    assert (done.state, done.seconds, done.position, done.eta_s) == (JobState.SUCCEEDED, 2.5, None, None)
    assert [(image.index, image.seed) for image in done.images] == [(0, 42), (1, 43)]
    assert done.finished_at is not None
    assert done.started_at is not None
    assert (done.finished_at - done.started_at).total_seconds() == 3
    events = table.events_after(job.id)
    kinds = [(event.seq, event.kind) for event in events]
    assert kinds == [(1, "queued"), (2, "image"), (3, "image"), (4, "succeeded")]
    assert events[1].data["url"] == done.images[0].url
    assert [event.seq for event in table.events_after(job.id, 2)] == [3, 4]


def test_a_saved_image_is_shown_and_told_while_its_job_still_runs(table: JobTable, clock: Clock) -> None:
    table.submit(a_request(num_images=3), origin="ui")
    [job] = table.claim()
    assert job.missing == (0, 1, 2)
    images = saved_images(job)
    assert table.add_image(job, images[0])
    assert table.add_image(job, images[0])  # as after a connection that broke during the commit
    shown = table.get(job.id)
    assert (shown.state, [image.id for image in shown.images]) == (JobState.RUNNING, [images[0].id])
    assert [event.kind for event in table.events_after(job.id)] == ["queued", "image"]
    assert table.finish(job, images[1:], seconds=1)
    assert [image.id for image in table.get(job.id).images] == [image.id for image in images]


def test_an_attempt_goes_on_where_the_one_before_was_lost(table: JobTable) -> None:
    table.submit(a_request(num_images=3), origin="ui")
    [lost] = table.claim()
    kept = saved_images(lost)[0].model_copy(update={"seconds": 2.0})
    assert table.add_image(lost, kept)
    table.requeue(lost, crashed=True)
    [job] = table.claim()
    assert (job.entry, job.missing) == (None, (1, 2))
    late = saved_images(lost)[1]
    assert not table.add_image(lost, late)
    assert table.add_image(lost, kept)  # it is there: its file must not be thrown away
    first, second = saved_images(job)[1:]
    assert table.add_image(job, first)
    assert table.finish(job, [second], seconds=1.5)
    done = table.get(job.id)
    assert [image.id for image in done.images] == [kept.id, first.id, second.id]
    assert done.seconds == 3.5  # of the pictures of both attempts


def test_a_job_does_not_succeed_without_all_its_images(table: JobTable) -> None:
    table.submit(a_request(num_images=3), origin="ui")
    [job] = table.claim()
    with pytest.raises(ValueError, match="1 of its 3"):
        table.finish(job, saved_images(job)[:1], seconds=1)
    assert (table.get(job.id).state, table.get(job.id).images) == (JobState.RUNNING, ())


def test_a_cancelled_or_failed_job_keeps_the_images_it_had(table: JobTable) -> None:
    for end in (lambda job: table.fail(job, JobError(code="x", message="x")), table.finish_cancelled):
        table.submit(a_request(num_images=2), origin="ui")
        [job] = table.claim()
        first, second = saved_images(job)
        assert table.add_image(job, first)
        table.cancel(job.id)
        assert not table.add_image(job, second)
        assert end(job)
        assert [image.id for image in table.get(job.id).images] == [first.id]


def test_jobs_whose_models_differ_never_share_a_run(table: JobTable) -> None:
    before, after = (ModelEntry(key="pocket", title="Pocket", revision=revision) for revision in ("1", "2"))
    first = table.submit(a_request("one"), origin="api", entry=before)[0]
    table.submit(a_request("two"), origin="api", entry=after)
    third = table.submit(a_request("three"), origin="api", entry=before)[0]
    claimed = table.claim(capacity=up_to(8))
    assert [job.id for job in claimed] == [first.id, third.id]
    assert (claimed[0].entry, claimed[0].missing) == (before, (0,))


def test_what_an_engine_cannot_do_is_left_in_its_place(table: JobTable) -> None:
    theirs = table.submit(a_request(model="other"), origin="api")[0]
    ours = table.submit(a_request(), origin="api")[0]
    assert [job.id for job in table.claim(capacity=lambda request, _: int(request.model == "pocket"))] == [ours.id]
    assert table.get(theirs.id).position == 1
    assert [job.id for job in table.claim()] == [theirs.id]


def test_a_run_is_filled_up_to_one_pass_of_the_engine(table: JobTable) -> None:
    ids = [table.submit(a_request(seed=n, num_images=n), origin="api")[0].id for n in (2, 1, 4, 1)]
    assert [job.id for job in table.claim(capacity=up_to(4))] == ids[:2]
    assert [job.id for job in table.claim(capacity=up_to(3))] == ids[2:3]


def test_a_stale_attempt_can_neither_finish_nor_fail_nor_requeue(a_table: Callable[..., JobTable]) -> None:
    table = a_table()
    table.submit(a_request(), origin="api")
    [stale] = table.claim()
    table.requeue(stale, crashed=False)
    [fresh] = table.claim()
    assert fresh.attempt == stale.attempt + 1
    assert not table.finish(stale, saved_images(stale), seconds=1)
    assert not table.fail(stale, JobError(code="x", message="x"))
    assert not table.finish_cancelled(stale)
    assert table.requeue(stale, crashed=True) == JobState.RUNNING
    assert table.get(stale.id).attempt == fresh.attempt
    images = saved_images(fresh)
    assert table.finish(fresh, images, seconds=1)
    assert [image.id for image in table.get(fresh.id).images] == [image.id for image in images]


def test_finishing_twice_with_the_same_images_says_yes_twice_and_with_others_no(table: JobTable) -> None:
    table.submit(a_request(), origin="api")
    [job] = table.claim()
    images = saved_images(job)
    assert table.finish(job, images, seconds=1)
    assert table.finish(job, images, seconds=1)  # as after a connection that broke during the commit
    assert not table.finish(job, saved_images(job), seconds=1)
    assert len(table.get(job.id).images) == 1


def test_cancelling_a_queued_job_is_immediate_and_idempotent(table: JobTable) -> None:
    job = table.submit(a_request(), origin="api")[0]
    other = table.submit(a_request(), origin="api")[0]
    first = table.cancel(job.id)
    assert first.state == JobState.CANCELLED
    assert table.cancel(job.id) == first
    assert table.get(other.id).state == JobState.QUEUED
    assert [event.kind for event in table.events_after(job.id)] == ["queued", "cancelled"]


def test_after_cancelling_a_running_job_no_image_is_committed(table: JobTable) -> None:
    table.submit(a_request(), origin="api")
    [job] = table.claim()
    assert table.cancel_requested([job.id]) == set()
    assert table.cancel(job.id).state == JobState.RUNNING
    assert table.cancel(job.id).state == JobState.RUNNING
    assert table.cancel_requested([job.id]) == {job.id}
    assert not table.finish(job, saved_images(job), seconds=1)
    done = table.get(job.id)
    assert (done.state, done.images) == (JobState.CANCELLED, ())
    assert not table.finish_cancelled(job)


def test_a_cancelled_running_job_is_not_queued_again_when_its_engine_dies(table: JobTable) -> None:
    table.submit(a_request(), origin="api")
    [job] = table.claim()
    table.cancel(job.id)
    assert table.requeue(job, crashed=True) == JobState.CANCELLED
    assert table.claim() == []


def test_a_cancelled_job_whose_engine_died_once_too_often_is_cancelled_and_not_failed(
    a_table: Callable[..., JobTable],
) -> None:
    table = a_table(max_crashes=1)
    table.submit(a_request(), origin="api")
    [job] = table.claim()
    table.cancel(job.id)
    assert table.requeue(job, crashed=True) == JobState.CANCELLED
    assert (table.get(job.id).state, table.get(job.id).error) == (JobState.CANCELLED, None)


def test_a_job_under_which_an_engine_crashed_is_not_taken_along_by_others(table: JobTable) -> None:
    poison = table.submit(a_request("poison"), origin="api")[0]
    table.requeue(table.claim()[0], crashed=True)
    first = table.submit(a_request("first"), origin="api", priority=1)[0]
    second = table.submit(a_request("second"), origin="api")[0]
    assert [job.id for job in table.claim(capacity=up_to(8))] == [first.id, second.id]
    assert [job.id for job in table.claim(capacity=up_to(8))] == [poison.id]


def test_cancelling_a_succeeded_job_changes_nothing(table: JobTable) -> None:
    table.submit(a_request(), origin="api")
    [job] = table.claim()
    table.finish(job, saved_images(job), seconds=1)
    before = table.get(job.id)
    assert table.cancel(job.id) == before


def test_a_job_fails_with_its_reason(table: JobTable) -> None:
    table.submit(a_request(), origin="api")
    [job] = table.claim()
    error = JobError(code="out_of_memory", message="There was not enough memory.", hint="Try a smaller size.")
    assert table.fail(job, error)
    assert table.get(job.id).error == error
    assert table.events_after(job.id)[-1].data["error"]["code"] == "out_of_memory"


def test_a_crashed_worker_gives_its_job_back_to_its_old_place(table: JobTable) -> None:
    first = table.submit(a_request(), origin="api")[0]
    table.submit(a_request(), origin="api")
    assert table.requeue(table.claim()[0], crashed=True) == JobState.QUEUED
    back = table.get(first.id)
    assert (back.position, back.started_at) == (1, None)
    assert table.claim()[0].id == first.id


def test_a_job_that_crashes_its_engine_three_times_is_failed_and_restarts_do_not_count(
    a_table: Callable[..., JobTable],
) -> None:
    table = a_table(max_crashes=3)
    job = table.submit(a_request(), origin="api")[0]
    for _ in range(5):
        table.requeue(table.claim()[0], crashed=False)
    states = [table.requeue(table.claim()[0], crashed=True) for _ in range(3)]
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    error = table.get(job.id).error
    assert error is not None
    assert error.code == "worker_crashed"


def test_lists_page_through_all_jobs_from_the_newest(table: JobTable) -> None:
    ids = [table.submit(a_request(), origin="ui" if number % 2 else "api")[0].id for number in range(7)]
    seen, cursor = [], None
    while True:
        page = table.page(limit=3, cursor=cursor)
        seen += [job.id for job in page.items]
        table.submit(a_request(), origin="later")  # new jobs do not shift the pages
        if (cursor := page.next) is None:
            break
    assert seen == ids[::-1]
    table.claim()
    running = table.page(states=[JobState.RUNNING])
    assert [job.id for job in running.items] == [ids[0]]
    assert {job.origin for job in table.page(origin="ui").items} == {"ui"}
    assert [job.position for job in table.page(origin="api", limit=1).items] == [6]


@pytest.mark.parametrize("wrong", [{"cursor": "abc"}, {"cursor": "9" * 30}, {"limit": 0}, {"limit": 201}])
def test_a_list_refuses_a_cursor_or_limit_that_is_none(table: JobTable, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(wrong))):
        table.page(**wrong)


def test_running_order_is_what_runs_then_what_is_next(table: JobTable) -> None:
    ids = [table.submit(a_request(), origin="api", priority=priority)[0].id for priority in (0, 0, 3)]
    table.claim()
    order = table.running_order()
    assert [job.id for job in order] == [ids[2], ids[0], ids[1]]
    assert [job.position for job in order] == [0, 1, 2]


def test_every_committed_event_is_announced_after_its_commit(a_table: Callable[..., JobTable]) -> None:
    heard: list[tuple[str, int | None, list[int]]] = []

    def hear(job_id: str, kind: str, data: object, *, seq: int | None = None) -> None:
        heard.append((kind, seq, [event.seq for event in table.events_after(job_id)]))

    table = a_table(on_event=hear)
    table.submit(a_request(), origin="api")
    [job] = table.claim()
    table.finish(job, saved_images(job), seconds=1)
    assert [(kind, seq) for kind, seq, _ in heard] == [("queued", 1), ("image", 2), ("succeeded", 3)]
    assert all(seq in visible for _, seq, visible in heard)
