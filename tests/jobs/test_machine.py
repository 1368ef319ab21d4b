"""Any order of submit, claim, finish, cancel, crash, restart and lost answers, compared with a simple model."""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.core.errors import QueueFull
from app.core.schema import Job, JobError, JobState
from app.database import open_database
from app.jobs.table import JobTable

from .things import Clock, a_request, saved_images, up_to

MAX_QUEUE = 5
IMAGES = 2
MAX_CRASHES = 2
FINISHED = [state for state in JobState if state.finished]


@dataclass
class Expected:
    """What the model knows of one job."""

    number: int
    priority: int
    state: JobState = JobState.QUEUED
    attempt: int = 0
    crashes: int = 0
    owner: int = 0
    cancel: bool = False
    images: dict[int, str] = field(default_factory=dict)
    claims: list[Job] = field(default_factory=list)


class Queue(RuleBasedStateMachine):
    """The table against a dictionary."""

    empty_file: Path

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="atelier-machine-"))
        shutil.copyfile(self.empty_file, self.folder / "atelier.db")
        self.database = open_database(f"sqlite:///{self.folder / 'atelier.db'}")
        self.clock = Clock()
        self.jobs: dict[str, Expected] = {}
        self.boot = 0
        self.restart()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.database.dispose()
            shutil.rmtree(self.folder)

    def _in(self, state: JobState) -> list[str]:
        return [job_id for job_id, job in self.jobs.items() if job.state == state]

    def _put_back(self, job: Expected, crashed: bool) -> None:
        job.crashes += crashed
        if job.cancel:
            job.state = JobState.CANCELLED
        else:
            job.state = JobState.FAILED if job.crashes >= MAX_CRASHES else JobState.QUEUED

    @rule(key=st.integers(0, 4), priority=st.integers(0, 1))
    def submit(self, key: int, priority: int) -> None:
        full = len(self._in(JobState.QUEUED)) >= MAX_QUEUE
        known = {job.number: job_id for job_id, job in self.jobs.items()}
        number = key if key < 3 else 100 + len(self.jobs)  # small keys are sent again and again
        request = a_request(seed=number, num_images=IMAGES)
        try:
            job, created = self.table.submit(request, origin="api", idempotency_key=f"key-{number}", priority=priority)
        except QueueFull:
            assert full
            assert number not in known
            return
        assert created == (number not in known)
        if created:
            assert not full
            self.jobs[job.id] = Expected(number, priority)
        else:
            assert job.id == known[number]

    @rule(jobs=st.integers(1, 3))
    def claim(self, jobs: int) -> None:
        order = sorted(self._in(JobState.QUEUED), key=lambda job_id: (-self.jobs[job_id].priority, self._seq(job_id)))
        claimed = self.table.claim(capacity=up_to(jobs * IMAGES))
        expected = order[:1]
        if order and not self.jobs[order[0]].crashes:
            expected += [job_id for job_id in order[1:] if not self.jobs[job_id].crashes][: jobs - 1]
        assert [job.id for job in claimed] == expected
        for job in claimed:
            known = self.jobs[job.id]
            known.attempt += 1
            known.state, known.owner = JobState.RUNNING, self.boot
            known.claims.append(job)
            assert job.attempt == known.attempt

    def _seq(self, job_id: str) -> int:
        return list(self.jobs).index(job_id)

    @precondition(lambda self: any(job.claims for job in self.jobs.values()))
    @rule(data=st.data(), how=st.sampled_from(["finish", "fail", "crash", "requeue", "let go"]), twice=st.booleans())
    def end(self, data: st.DataObject, how: str, twice: bool) -> None:
        """Some attempt, perhaps one that was lost long ago, reports its end; perhaps twice."""
        claim = data.draw(st.sampled_from([claim for job in self.jobs.values() for claim in job.claims]))
        job = self.jobs[claim.id]
        images = [image for image in saved_images(claim) if image.index not in job.images]
        for _ in range(1 + twice):
            held = job.state == JobState.RUNNING and job.attempt == claim.attempt
            if how == "finish":
                saved = all(image.id == job.images.get(image.index) for image in images)
                again = job.state == JobState.SUCCEEDED and job.attempt == claim.attempt and saved
                assert self.table.finish(claim, images, 1.0) == ((held and not job.cancel) or again)
                if held and not job.cancel:
                    job.images |= {image.index: image.id for image in images}
                if held:
                    job.state = JobState.CANCELLED if job.cancel else JobState.SUCCEEDED
            elif how == "fail":
                assert self.table.fail(claim, JobError(code="x", message="x")) == held
                job.state = JobState.FAILED if held else job.state
            elif how == "let go":
                assert self.table.finish_cancelled(claim) == held
                job.state = JobState.CANCELLED if held else job.state
            else:
                if held:
                    self._put_back(job, how == "crash")
                assert self.table.requeue(claim, crashed=how == "crash") == job.state

    @precondition(lambda self: any(job.claims for job in self.jobs.values()))
    @rule(data=st.data(), index=st.integers(0, IMAGES - 1), twice=st.booleans())
    def save(self, data: st.DataObject, index: int, twice: bool) -> None:
        """Some attempt saves one of its pictures that is still missing; perhaps it says so twice."""
        claim = data.draw(st.sampled_from([claim for job in self.jobs.values() for claim in job.claims]))
        job = self.jobs[claim.id]
        if index in job.images:
            return
        image = saved_images(claim)[index]
        held = job.state == JobState.RUNNING and job.attempt == claim.attempt and not job.cancel
        for _ in range(1 + twice):
            assert self.table.add_image(claim, image) == held
        if held:
            job.images[index] = image.id

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.jobs, key=self._seq)))
        job = self.jobs[job_id]
        if job.state == JobState.QUEUED:
            job.state = JobState.CANCELLED
        job.cancel = job.cancel or job.state == JobState.RUNNING
        assert self.table.cancel(job_id).state == job.state

    @rule()
    def restart(self) -> None:
        """`kill -9`, and a new service on the same file."""
        self.boot += 1
        self.database.dispose()
        self.table = JobTable(
            self.database, boot_id=f"boot-{self.boot}", max_queue=MAX_QUEUE, max_crashes=MAX_CRASHES, now=self.clock
        )
        lost = [job for job in self.jobs.values() if job.state == JobState.RUNNING]
        assert self.table.recover() == len(lost)
        for job in lost:
            self._put_back(job, False)

    @rule(seconds=st.sampled_from([1.0, 40.0, -3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_s(seconds)

    @invariant()
    def the_table_says_what_the_model_says(self) -> None:
        if not hasattr(self, "jobs"):
            return
        found = {job.id: job for job in self.table.page(limit=200).items}
        assert found.keys() == self.jobs.keys()
        for job_id, job in self.jobs.items():
            row = found[job_id]
            assert (row.state, row.attempt, row.request.seed) == (job.state, job.attempt, job.number)
            assert {image.index: image.id for image in row.images} == job.images
            events = self.table.events_after(job_id)
            kinds = [event.kind for event in events]
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert [kind for kind in kinds if kind in FINISHED] == ([job.state] if job.state.finished else [])
            assert kinds.count("image") == len(job.images)


@pytest.mark.slow
def test_any_order_of_calls_agrees_with_the_model(empty_file: Path) -> None:
    Queue.empty_file = empty_file
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=15, stateful_step_count=30, deadline=None, derandomize=True, suppress_health_check=checks
        ),
    )
