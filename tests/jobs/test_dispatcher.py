"""The dispatcher brings every accepted job to an end, whatever its engine, its disk or its owner does."""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from app.catalog import Catalog, ModelEntry
from app.core.errors import DatabaseBusy, DiskFull, ModelBusy, StorageUnavailable, UnknownModel
from app.core.schema import Job, JobState
from app.core.settings import Settings
from app.database import images, open_database, writing
from app.engine.base import EngineEvent
from app.jobs.dispatcher import PASSES_FILE, Dispatcher
from app.jobs.live import LiveEvents
from app.jobs.passes import TRIED
from app.jobs.table import JobTable
from tests.engine.watching import NoInputs

from .engines import Shelf, SmallEngine
from .things import a_request, saved_images

CATALOG = """
[pocket]
title = "Pocket"
[other]
title = "Other"
"""

POCKET = ModelEntry(key="pocket", title="Pocket", revision="1")


@dataclass
class Room:
    """A service without HTTP: a table, engines, a dispatcher."""

    table: JobTable
    engines: list[SmallEngine]
    shelf: Shelf
    live: LiveEvents
    dispatcher: Dispatcher
    ids: list[str] = field(default_factory=list)

    def submit(self, prompt: str = "a red apple", *, entry: ModelEntry | None = None, **changes: object) -> str:
        job_id = self.table.submit(a_request(prompt, **changes), origin="api", entry=entry)[0].id
        self.ids.append(job_id)
        self.dispatcher.wake()
        return job_id

    def until(self, true: Callable[[], bool], timeout: float = 90) -> None:
        deadline = time.monotonic() + timeout
        while not true():
            assert time.monotonic() < deadline, [self.table.get(job_id).state for job_id in self.ids]
            time.sleep(0.005)

    def finished(self, job_id: str) -> Job:
        self.until(lambda: self.table.get(job_id).state.finished)
        return self.table.get(job_id)

    def kinds(self, job_id: str) -> list[str]:
        return [event.kind for event in self.table.events_after(job_id)]


@pytest.fixture
def a_room(tmp_path: Path, sqlite: sqlalchemy.Engine) -> Iterator[Callable[..., Room]]:
    models = tmp_path / "models"
    models.mkdir()
    (models / "catalog.toml").write_text(CATALOG)
    rooms: list[Room] = []

    def make(*, engines: int = 1, start: bool = True, **options: object) -> Room:
        values = {"models_folder": models, "output_folder": tmp_path, "preload": False, "cancel_timeout_s": 1.0}
        settings = Settings(**(values | options))
        live = LiveEvents()
        boot_id = f"boot-{len(rooms)}"
        table = JobTable(sqlite, boot_id=boot_id, max_crashes=settings.max_crashes, on_event=live.publish)
        made = [SmallEngine(["pocket"]) for _ in range(engines)]
        shelf = Shelf(tmp_path / f"pictures-{len(rooms)}")
        dispatcher = Dispatcher(table, shelf, made, live, Catalog(settings), settings, NoInputs())
        room = Room(table, made, shelf, live, dispatcher)
        rooms.append(room)
        if start:
            dispatcher.start()
        return room

    yield make
    for room in rooms:
        room.dispatcher.stop(0)


def test_jobs_come_out_with_one_file_for_each_image(a_room: Callable[..., Room]) -> None:
    room = a_room()
    ids = [room.submit(num_images=2, seed=seed) for seed in range(0, 10, 2)]
    jobs = [room.finished(job_id) for job_id in ids]
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert [image.seed for job in jobs for image in job.images] == list(range(10))
    assert len(room.shelf.files()) == 10
    assert len(room.engines[0].threads) == 1


def test_several_engines_share_the_queue_and_run_each_job_once(a_room: Callable[..., Room]) -> None:
    room = a_room(engines=2)
    ids = [room.submit(seed=seed) for seed in range(20)]
    for job_id in ids:
        room.finished(job_id)
    ran = [job_id for engine in room.engines for run in engine.runs for job_id in run]
    assert sorted(ran) == sorted(ids)


def test_a_job_goes_to_the_free_engine_that_has_its_model(a_room: Callable[..., Room]) -> None:
    room = a_room(engines=4, start_paused=True)
    room.engines[3].loaded.append("pocket")
    job_id = room.submit(entry=POCKET)
    room.dispatcher.resume()
    room.finished(job_id)
    assert [engine.runs for engine in room.engines] == [[], [], [], [[job_id]]]


def test_an_engine_without_a_device_takes_no_job_and_gets_one_when_jobs_wait(a_room: Callable[..., Room]) -> None:
    room = a_room(engines=2, start=False)
    away = room.engines[1]
    away.here = False
    room.dispatcher.start()
    done = room.submit()
    room.finished(done)
    room.until(lambda: len(room.dispatcher.status()) == 1)
    slow, waiting = room.submit("slow"), room.submit(seed=3)
    room.until(lambda: away.wanted)
    assert away.runs == []
    away.here = True
    room.finished(waiting)
    assert away.runs == [[waiting]]
    room.table.cancel(slow)


def test_jobs_that_are_alike_run_together_until_they_fill_one_pass_of_the_engine(
    a_room: Callable[..., Room], tmp_path: Path
) -> None:
    # As an earlier start measured it: passes of two and of four pay.
    curve = {"1": [1.0] * TRIED, "2": [0.6] * TRIED, "4": [0.4] * TRIED}
    (tmp_path / PASSES_FILE).write_text(json.dumps({"test pocket 64x64": curve}))
    room = a_room(start_paused=True, data_folder=tmp_path)
    room.engines[0].images_in_a_pass = 4
    ids = [room.submit(entry=POCKET, seed=seed, num_images=1 + seed % 2) for seed in range(4)]
    room.dispatcher.resume()
    for job_id in ids:
        assert room.finished(job_id).state == JobState.SUCCEEDED
    assert room.engines[0].runs == [ids[:3], ids[3:]]


def test_progress_and_previews_are_there_while_it_runs_and_gone_after(a_room: Callable[..., Room]) -> None:
    room = a_room()
    job_id = room.submit("slow")
    room.until(lambda: room.live.preview(job_id) is not None)
    progress = room.live.progress(job_id)
    assert progress is not None
    assert (progress.of, progress.phase) == (10_000, "denoising")
    room.table.cancel(job_id)
    room.dispatcher.wake()
    room.finished(job_id)
    assert room.live.progress(job_id) is None
    assert room.live.preview(job_id) is None


def test_a_crash_is_retried_and_a_poison_job_harms_nobody_else(a_room: Callable[..., Room]) -> None:
    room = a_room()
    once, poison, good = room.submit("crash once"), room.submit("crash"), room.submit()
    assert room.finished(once).attempt == 2
    failed = room.finished(poison)
    assert failed.error is not None
    assert (failed.state, failed.error.code, failed.attempt) == (JobState.FAILED, "worker_crashed", 3)
    assert room.finished(good).state == JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("error", "out_of_memory"),
        ("bug", "generation_failed"),
        ("silent", "generation_failed"),
        ("short", "generation_failed"),
    ],
)
def test_a_failing_job_says_why_and_the_next_one_works(a_room: Callable[..., Room], prompt: str, code: str) -> None:
    room = a_room()
    job = room.finished(room.submit(prompt, num_images=2))
    assert job.error is not None
    assert (job.state, job.error.code) == (JobState.FAILED, code)
    assert room.finished(room.submit()).state == JobState.SUCCEEDED


def test_a_running_job_is_cancelled_within_a_step_and_its_neighbour_goes_on(a_room: Callable[..., Room]) -> None:
    room = a_room(engines=2)
    first, second = room.submit("slow"), room.submit("slow")
    room.until(lambda: all(room.live.preview(job_id) for job_id in (first, second)))
    room.table.cancel(first)
    room.dispatcher.wake()
    assert room.finished(first).state == JobState.CANCELLED
    last_step = room.live.latest(second)
    assert last_step is not None
    assert last_step.data["step"] < last_step.data["of"]  # both have equally many: the first was not drawn to its end
    assert room.table.get(second).state == JobState.RUNNING
    assert room.shelf.files() == []


def test_encoding_overlaps_with_the_next_run(a_room: Callable[..., Room]) -> None:
    room = a_room()
    room.shelf.may_write.clear()
    first, second = room.submit(), room.submit()
    room.until(lambda: len(room.engines[0].runs) == 2)
    assert room.table.get(first).state == JobState.RUNNING  # still being saved while the second one runs
    room.shelf.may_write.set()
    assert [room.finished(job_id).state for job_id in (first, second)] == [JobState.SUCCEEDED] * 2


def test_the_next_picture_is_begun_while_two_are_still_to_be_saved_and_no_more(a_room: Callable[..., Room]) -> None:
    room = a_room(start=False)
    begun: list[int] = []  # how many pictures were saved when each was begun
    step = room.live.step

    def watched(event: EngineEvent) -> None:
        if (event.kind, event.step, event.phase) == ("step", 1, "denoising"):
            begun.append(len(room.table.get(event.job_id).images))
        step(event)

    room.live.step = watched
    room.shelf.may_write.clear()
    room.dispatcher.start()
    job_id = room.submit(num_images=8)
    room.until(lambda: len(begun) == 3)
    assert begun == [0, 0, 0]
    room.shelf.may_write.set()
    job = room.finished(job_id)
    assert len(begun) == 8
    assert all(number - saved <= 2 for number, saved in enumerate(begun)), begun
    assert room.kinds(job.id) == ["queued", *["image"] * 8, "succeeded"]
    assert [image.index for image in job.images] == list(range(8))


def test_a_crash_costs_the_picture_that_was_being_made_and_no_other(a_room: Callable[..., Room]) -> None:
    room = a_room()
    job = room.finished(room.submit("crash once at 5", num_images=8))
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert [item.images for item in room.engines[0].work] == [tuple(range(8)), (5, 6, 7)]
    assert [image.seed for image in job.images] == list(range(42, 50))
    assert room.kinds(job.id) == ["queued", *["image"] * 5, "queued", *["image"] * 3, "succeeded"]
    assert len(room.shelf.files()) == 8


def test_a_job_that_fails_keeps_the_pictures_that_were_done(a_room: Callable[..., Room]) -> None:
    room = a_room()
    job = room.finished(room.submit("error at 2", num_images=4))
    assert (job.state, [image.index for image in job.images]) == (JobState.FAILED, [0, 1])
    assert len(room.shelf.files()) == 2


def test_a_job_that_is_cancelled_keeps_the_pictures_that_were_done(a_room: Callable[..., Room]) -> None:
    room = a_room()
    room.shelf.may_write.clear()
    job_id = room.submit(num_images=8)
    room.until(room.shelf.asked.is_set)
    room.shelf.may_write.set()
    room.until(lambda: len(room.table.get(job_id).images) >= 2)
    shown = len(room.table.cancel(job_id).images)
    room.dispatcher.wake()
    job = room.finished(job_id)
    assert job.state in (JobState.CANCELLED, JobState.SUCCEEDED)
    assert len(job.images) == shown  # none was added after the cancel was acknowledged
    assert room.kinds(job_id).count("image") == len(room.shelf.files()) == shown


def test_a_picture_that_somebody_deleted_meanwhile_is_not_made_again(
    a_room: Callable[..., Room], sqlite: sqlalchemy.Engine
) -> None:
    room = a_room(start=False)
    job_id = room.submit(num_images=3)
    [lost] = room.table.claim()
    first = saved_images(lost)[0]
    assert room.table.add_image(lost, first)
    with writing(sqlite) as connection:
        connection.execute(sqlalchemy.delete(images).where(images.c.id == first.id))
    room.table.requeue(lost, crashed=False)
    room.dispatcher.start()
    job = room.finished(job_id)
    assert (job.state, [image.index for image in job.images]) == (JobState.SUCCEEDED, [1, 2])


def test_a_job_is_drawn_with_the_model_as_it_was_when_the_job_was_accepted(
    a_room: Callable[..., Room], tmp_path: Path
) -> None:
    room = a_room(start_paused=True)
    stored = room.submit(entry=POCKET)
    older = room.submit()  # its row says nothing of the model
    (tmp_path / "models" / "catalog.toml").write_text('[pocket]\ntitle = "Pocket"\nrevision = "2"\n')
    room.dispatcher.resume()
    for job_id in (stored, older):
        assert room.finished(job_id).state == JobState.SUCCEEDED
    drawn = {item.job_id: item.entry.revision for item in room.engines[0].work}
    assert drawn == {stored: "1", older: "2"}


def test_a_job_of_an_older_version_whose_model_is_gone_fails_and_says_which_there_are(
    a_room: Callable[..., Room],
) -> None:
    room = a_room()
    job = room.finished(room.submit(model="three"))
    assert job.error is not None
    assert (job.state, job.error.code) == (JobState.FAILED, "unknown_model")
    assert "pocket, other" in job.error.message


def test_an_engine_leaves_to_another_what_it_cannot_do_and_takes_what_is_behind_it(
    a_room: Callable[..., Room],
) -> None:
    other = ModelEntry(key="other", title="Other")
    room = a_room(engines=2, start_paused=True)
    first, second = room.engines
    first.cannot, second.cannot = {"other"}, {"pocket"}
    ids = [room.submit(entry=entry, model=entry.key, seed=n) for n, entry in enumerate((other, POCKET) * 3)]
    room.dispatcher.resume()
    for job_id in ids:
        assert room.finished(job_id).state == JobState.SUCCEEDED
    assert [item.entry.key for item in first.work] == ["pocket"] * 3
    assert [item.entry.key for item in second.work] == ["other"] * 3


def test_what_no_engine_can_do_fails_and_says_so(a_room: Callable[..., Room]) -> None:
    room = a_room(engines=2, start_paused=True)
    for engine in room.engines:
        engine.cannot = {"pocket"}
    job_id = room.submit(entry=POCKET)
    room.dispatcher.resume()
    job = room.finished(job_id)
    assert job.error is not None
    assert (job.state, job.error.code) == (JobState.FAILED, "model_refused")


def test_a_full_disk_puts_the_job_back_and_it_goes_on_by_itself(a_room: Callable[..., Room]) -> None:
    room = a_room()
    room.shelf.room = 1
    job_id = room.submit(num_images=2)
    room.until(lambda: [problem.code for problem in room.dispatcher.problems()] == ["disk_full"])
    room.until(lambda: "queued" in room.kinds(job_id)[1:])
    assert len(room.shelf.files()) == 1  # the picture that was saved stays
    room.shelf.room = math.inf
    assert room.finished(job_id).state == JobState.SUCCEEDED
    room.until(lambda: room.dispatcher.problems() == [])
    assert len(room.shelf.files()) == 2


def test_while_the_disk_is_unavailable_no_job_is_run_in_vain(a_room: Callable[..., Room]) -> None:
    room = a_room(start_paused=True)
    room.shelf.fault = StorageUnavailable()
    ids = [room.submit(num_images=2, seed=seed) for seed in range(0, 6, 2)]
    room.dispatcher.resume()
    room.until(lambda: len(room.shelf.checks) >= 3)
    # Two at most were under way when the first could not be saved; from then on only the disk is tried.
    assert len(room.engines[0].runs) <= 2
    assert set(room.shelf.checks) == {2 * 64 * 64 * 3}
    assert {room.table.get(job_id).state for job_id in ids} == {JobState.QUEUED}
    with pytest.raises(StorageUnavailable):
        room.dispatcher.check_storage()
    obstacle = room.dispatcher.obstacle()
    assert obstacle is not None
    assert obstacle.code == "storage_unavailable"
    room.shelf.fault = None
    assert [room.finished(job_id).state for job_id in ids] == [JobState.SUCCEEDED] * 3
    room.until(lambda: room.dispatcher.obstacle() is None)
    room.dispatcher.check_storage()


def test_a_picture_that_no_disk_could_take_fails_its_job_and_leaves_no_file(a_room: Callable[..., Room]) -> None:
    room = a_room()
    room.shelf.fault = ValueError("these pixels are no picture")
    job = room.finished(room.submit())
    assert job.error is not None
    assert "no picture" in job.error.message
    assert room.shelf.files() == []


def test_without_an_engine_the_job_waits_and_the_reason_is_shown(a_room: Callable[..., Room]) -> None:
    room = a_room()
    room.engines[0].available = False
    job_id = room.submit()
    room.until(lambda: [problem.code for problem in room.dispatcher.problems()] == ["engine_unavailable"])
    room.engines[0].available = True
    job = room.finished(job_id)
    assert (job.state, job.error) == (JobState.SUCCEEDED, None)
    waited = [event.data for event in room.table.events_after(job_id) if event.data.get("reason")]
    assert {(data["reason"], data["crashes"]) for data in waited} == {("engine_unavailable", 0)}


def test_a_locked_database_delays_a_finish_and_loses_nothing(
    a_room: Callable[..., Room], sqlite: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    @sqlalchemy.event.listens_for(sqlite, "connect")
    def _impatient(connection, _record):  # type: ignore[no-untyped-def]
        connection.execute("PRAGMA busy_timeout=20")

    room = a_room(start=False)
    finish, refused = room.table.finish, []

    def watched(job: Job, *rest: Any) -> bool:
        try:
            return finish(job, *rest)
        except DatabaseBusy as error:
            refused.append(error)
            raise

    monkeypatch.setattr(room.table, "finish", watched)
    room.dispatcher.start()
    room.shelf.may_write.clear()
    job_id = room.submit()
    room.until(room.shelf.asked.is_set)
    other = open_database(str(sqlite.url))
    with writing(other):  # somebody holds the write lock when the job is to be finished
        room.shelf.may_write.set()
        room.until(lambda: bool(refused))
        assert room.table.get(job_id).state == JobState.RUNNING
        assert [problem.code for problem in room.dispatcher.problems()] == ["database_busy"]
    job = room.finished(job_id)
    assert (job.state, job.attempt, len(room.shelf.files())) == (JobState.SUCCEEDED, 1, 1)
    assert room.engines[0].runs == [[job_id]]
    other.dispose()


def test_a_database_without_room_for_the_result_throws_the_files_away_and_runs_the_job_again(
    a_room: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = a_room(start=False)
    finish, seen = room.table.finish, []

    def full_once(job: Job, *rest: Any) -> bool:
        seen.append(len(room.shelf.files()))
        if len(seen) == 1:
            raise DiskFull
        return finish(job, *rest)

    monkeypatch.setattr(room.table, "finish", full_once)
    room.dispatcher.start()
    job = room.finished(room.submit(num_images=2))
    # Waiting with the last file on the disk could be for ever: it may be what the disk is full of.
    assert (job.state, job.attempt, seen) == (JobState.SUCCEEDED, 2, [2, 2])
    reasons = [event.data.get("reason") for event in room.table.events_after(job.id)]
    assert reasons == [None, None, "disk_full", None, None]


def test_files_whose_job_became_somebody_elses_are_removed(
    a_room: Callable[..., Room], sqlite: sqlalchemy.Engine
) -> None:
    room = a_room()
    room.shelf.may_write.clear()
    job_id = room.submit()
    room.until(room.shelf.asked.is_set)
    other = JobTable(sqlite, boot_id="another")
    assert other.recover() == 1
    [again] = other.claim()
    assert other.finish(again, saved_images(again), seconds=1)
    room.shelf.may_write.set()
    room.until(lambda: bool(room.shelf.left))
    room.until(lambda: not room.shelf.files())
    assert room.table.get(job_id).attempt == 2


def test_a_paused_queue_accepts_jobs_and_starts_none(a_room: Callable[..., Room]) -> None:
    room = a_room(start_paused=True)
    job_id = room.submit()
    for _ in range(2):  # the engine's thread is awake, looks around, and leaves the job alone
        room.dispatcher.load_model("pocket")
        room.until(lambda: room.dispatcher.model_states()["pocket"].state == "loaded")
        room.dispatcher.unload_model("pocket")
        room.until(lambda: "pocket" not in room.dispatcher.model_states())
    assert room.engines[0].runs == []
    assert (room.dispatcher.paused, room.table.get(job_id).state) == (True, JobState.QUEUED)
    room.dispatcher.resume()
    assert room.finished(job_id).state == JobState.SUCCEEDED


def test_stopping_lets_a_quick_job_finish_and_queues_a_long_one_again(a_room: Callable[..., Room]) -> None:
    room = a_room(engines=2)
    long = room.submit("slow")
    room.until(lambda: room.live.preview(long) is not None)
    quick = room.submit()
    room.until(lambda: room.table.get(quick).state != JobState.QUEUED)
    room.dispatcher.stop(3.0)
    assert room.table.get(quick).state == JobState.SUCCEEDED
    assert room.table.get(long).state == JobState.QUEUED
    assert all(engine.closed.is_set() for engine in room.engines)
    room.dispatcher.stop(1.0)


def test_stopping_ends_an_engine_that_does_not_let_go_without_blaming_the_job(a_room: Callable[..., Room]) -> None:
    room = a_room(max_crashes=1, cancel_timeout_s=0.2)
    job_id = room.submit("stubborn")
    room.until(lambda: room.live.preview(job_id) is not None)
    room.dispatcher.stop(0)
    job = room.table.get(job_id)
    assert (job.state, job.error) == (JobState.QUEUED, None)


def test_the_next_start_runs_what_the_last_one_left_running(a_room: Callable[..., Room]) -> None:
    dead = a_room(start=False)
    job_id = dead.submit()
    assert dead.table.claim()[0].id == job_id  # and then the power went
    room = a_room()
    job = room.finished(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert room.kinds(job_id) == ["queued", "queued", "image", "succeeded"]


def test_the_default_model_is_preloaded_and_models_load_and_unload_on_the_engines_thread(
    a_room: Callable[..., Room],
) -> None:
    room = a_room(preload=True)
    room.until(lambda: room.dispatcher.status()[0].loaded_models == ("pocket",))
    room.until(lambda: room.dispatcher.model_states()["pocket"].state == "loaded")
    assert room.dispatcher.unload_model("pocket").state == "unloading"
    room.until(lambda: "pocket" not in room.dispatcher.model_states())
    assert room.dispatcher.load_model("pocket").state == "waiting"
    room.until(lambda: room.dispatcher.model_states().get("pocket") is not None)
    room.until(lambda: room.dispatcher.model_states()["pocket"].state == "loaded")
    newest = room.live.latest("model:pocket")
    assert newest is not None
    assert newest.kind == "loaded"
    assert len(room.engines[0].threads) == 1


def test_a_model_that_cannot_be_loaded_says_why_and_jobs_go_on(a_room: Callable[..., Room]) -> None:
    room = a_room(preload=True, default_model="other")
    room.until(lambda: room.dispatcher.model_states()["other"].state == "failed")
    error = room.dispatcher.model_states()["other"].error
    assert error is not None
    assert error.code == "model_not_installed"
    assert room.finished(room.submit()).state == JobState.SUCCEEDED
    with pytest.raises(UnknownModel):
        room.dispatcher.load_model("nonsense")


def test_a_model_in_use_is_not_unloaded(a_room: Callable[..., Room]) -> None:
    room = a_room()
    job_id = room.submit("slow")
    room.until(lambda: room.live.preview(job_id) is not None)
    with pytest.raises(ModelBusy):
        room.dispatcher.unload_model("pocket")
