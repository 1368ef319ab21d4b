"""One scenario of a simulated fleet: its services, what arrives, and what is counted."""

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import Engine as Database
from sqlalchemy import func, select, text

from app.catalog import ModelEntry
from app.core.schema import GenerationRequest, JobState
from app.database import Notices, clock, events, images, jobs, open_database, reading, writing
from app.jobs import transitions
from app.jobs.live import LiveEvents
from app.jobs.relay import Relay
from app.jobs.table import JobTable
from app.migrations import upgrade
from benchmarks.fleet_service import ServiceShape, SimulatedService, as_text
from tests.jobs.postgres import an_empty_database

PICTURE_S = 4.0
END_S = 300.0
CONNECTIONS = 300
FILLED_AT_ONCE = 500


@dataclass(frozen=True)
class Scenario:
    """One row of the table. `load` is a line that never gets empty, or arrivals at `of_capacity` of what N can do."""

    what: str
    workers: int
    services: int = 1
    models: int = 1
    load: str = "backlog"  # or poisson, burst, all (a fixed number of jobs, until all are done)
    of_capacity: float = 0.8
    picture_s: float = PICTURE_S
    load_s: float = 2.0
    deaths_per_1000: int = 0
    kill_a_service: bool = False
    sqlite: bool = False
    warm_s: float = 5.0
    window_s: float = 14.0
    jobs: int = 0


@dataclass
class Measured:
    """What came of it."""

    ideal: float
    jobs_per_s: float
    waits: list[float] = field(default_factory=list)
    swaps: int = 0
    deaths: int = 0
    lost: int = 0
    doubled: int = 0
    service_ms: float = 0.0  # of a processor, for each job
    database_ms: float = 0.0


def run(scenario: Scenario, server: str | None, number: int = 0) -> Measured:
    """One scenario on an empty database: a SQLite file, or on `server`."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "catalog.toml").write_text('[pocket]\ntitle = "Pocket"\npath = "pocket"\n')
        url = f"sqlite:///{folder / 'fleet.db'}"
        if not scenario.sqlite:
            assert server is not None
            url = stack.enter_context(an_empty_database(server, f"fleet_{number}"))
        database = open_database(url)
        stack.callback(database.dispose)
        upgrade(database)
        fleet = Fleet(scenario, url, folder)
        stack.callback(fleet.close)
        return _measure(scenario, database, fleet)


class Fleet:
    """The services of a scenario: one inside this process on SQLite, else processes and a door without devices."""

    def __init__(self, scenario: Scenario, url: str, folder: Path) -> None:
        each = scenario.workers // scenario.services
        shape = ServiceShape(
            url, str(folder), each, scenario.picture_s, scenario.load_s, scenario.deaths_per_1000
        )  # fmt: skip
        self._local = SimulatedService(shape, 0) if scenario.sqlite else None
        self._relay: Relay | None = None
        self._own: Database | None = None
        self.processes: list[subprocess.Popen[str]] = []
        if self._local is not None:
            self.table = self._local.table
            return
        command = [sys.executable, "-m", "benchmarks.fleet_service"]
        for number in range(scenario.services):
            self.processes.append(
                subprocess.Popen(
                    [*command, as_text(shape, number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "built\n"
        self._own = open_database(url)
        self._relay = Relay(Notices(self._own), "door")
        live = LiveEvents(others=self._relay)
        self.table = JobTable(self._own, boot_id="door", on_event=live.publish, max_queue=100_000)
        self._relay.start(live, lambda: None)

    def start(self, begin: float, end: float) -> None:
        """All begin to claim."""
        if self._local is not None:
            self._local.start(begin, end)
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{begin} {end}\n")
            process.stdin.flush()

    def submit(self, request: GenerationRequest, entry: ModelEntry) -> None:
        """As a door does it."""
        self.table.submit(request, origin="api", entry=entry)
        if self._local is not None:
            self._local.dispatcher.wake()

    def stop(self) -> Counter[str]:
        """End all; what they counted."""
        counted: Counter[str] = Counter(self._local.stop() if self._local is not None else {})
        self._local = None
        for process in self.processes:
            said, _ = process.communicate(timeout=60)
            counted.update(_counts(said))
        self.processes = []
        return counted

    def kill_one(self) -> None:
        """`kill -9` of a service: what it counted is lost, its jobs are not."""
        victim = self.processes.pop()
        victim.kill()
        victim.communicate()

    def close(self) -> None:
        """Nothing of it is left."""
        self.stop()
        if self._relay is not None:
            self._relay.stop()
        if self._own is not None:
            self._own.dispose()


def _measure(scenario: Scenario, database: Database, fleet: Fleet) -> Measured:
    models = [ModelEntry(key=f"model-{number}", title="Simulated", path="pocket") for number in range(scenario.models)]
    requests = _requests(models)
    capacity = scenario.workers / scenario.picture_s if scenario.picture_s else 400.0
    if scenario.load in ("backlog", "all"):
        count = scenario.jobs or int(capacity * (scenario.warm_s + scenario.window_s) * 1.3) + 2 * scenario.workers
        _fill(database, [next(requests) for _ in range(count)])
    begin = time.monotonic() + scenario.warm_s
    end = begin + scenario.window_s
    fleet.start(begin, end)
    if scenario.load == "all":
        return _until_all_are_done(scenario, database, fleet)
    ending = threading.Event()
    door = threading.Thread(target=_arrive, args=(scenario, fleet, requests, capacity, ending))
    door.start()
    time.sleep(max(0.0, begin - time.monotonic()))
    first, used = _now(database), _processor(fleet, database)
    time.sleep(max(0.0, end - time.monotonic()))
    last, used_then = _now(database), _processor(fleet, database)
    ending.set()
    door.join()
    counted = fleet.stop()
    with reading(database) as connection:
        over = (jobs.c.state == JobState.SUCCEEDED, jobs.c.finished_at.between(first, last))
        done = connection.scalar(select(func.count()).select_from(jobs).where(*over)) or 0
        came = (jobs.c.started_at.is_not(None), jobs.c.created_at.between(first, last))
        waits = list(connection.scalars(select(jobs.c.started_at - jobs.c.created_at).where(*came)))
    each = [(after - before) * 1000 / max(1, done) for before, after in zip(used, used_then, strict=True)]
    ideal = counted["busy_s"] / (scenario.workers * scenario.window_s)
    if scenario.load in ("poisson", "burst"):
        ideal /= scenario.of_capacity
    return Measured(
        ideal, done / (last - first), waits if scenario.load != "backlog" else [], int(counted["swaps"]),
        int(counted["deaths"]), service_ms=each[0], database_ms=each[1],
    )  # fmt: skip


def _until_all_are_done(scenario: Scenario, database: Database, fleet: Fleet) -> Measured:
    began = time.monotonic()
    killed = not scenario.kill_a_service
    done = 0
    while done < scenario.jobs and time.monotonic() - began < END_S:
        time.sleep(0.2)
        with reading(database) as connection:
            over = jobs.c.state.in_([state for state in JobState if state.finished])
            done = connection.scalar(select(func.count()).select_from(jobs).where(over)) or 0
        if not killed and done > scenario.jobs // 3:
            fleet.kill_one()
            killed = True
    took = time.monotonic() - began
    counted = fleet.stop()
    with reading(database) as connection:
        succeeded = select(events.c.job_id).where(events.c.kind == JobState.SUCCEEDED.value)
        ends = Counter(connection.scalars(succeeded))
        pictures = Counter(connection.scalars(select(images.c.job_id)))
        ids = list(connection.scalars(select(jobs.c.id)))
    lost = sum(not (ends[job_id] and pictures[job_id]) for job_id in ids) + scenario.jobs - len(ids)
    doubled = sum(ends[job_id] > 1 or pictures[job_id] > 1 for job_id in ids)
    ideal = scenario.jobs * scenario.picture_s / (scenario.workers * took)
    return Measured(
        ideal, done / took, swaps=int(counted["swaps"]), deaths=int(counted["deaths"]), lost=lost, doubled=doubled
    )


def _requests(models: Sequence[ModelEntry]) -> Iterator[tuple[GenerationRequest, ModelEntry]]:
    dice = random.Random(1)
    number = 0
    while True:
        number += 1
        entry = dice.choice(models)
        yield (
            GenerationRequest(
                prompt=f"picture {number}", model=entry.key, num_inference_steps=4, guidance_scale=0.0, width=64,
                height=64, seed=number, scheduler="default",
            ),
            entry,
        )  # fmt: skip


def _fill(database: Database, asked: Sequence[tuple[GenerationRequest, ModelEntry]]) -> None:
    """A long line at once: each as a submit writes it, many in a transaction."""
    for start in range(0, len(asked), FILLED_AT_ONCE):
        with writing(database) as connection:
            now = clock(connection)
            for request, entry in asked[start : start + FILLED_AT_ONCE]:
                transitions.accept(
                    connection, request, entry=entry, prompt=None, origin="api", caller="", turn=0,
                    idempotency_key=None, fingerprint="", priority=0, now=now,
                )  # fmt: skip


def _arrive(
    scenario: Scenario,
    fleet: Fleet,
    requests: Iterator[tuple[GenerationRequest, ModelEntry]],
    capacity: float,
    ending: threading.Event,
) -> None:
    """Jobs that come one by one at random moments, or N at once, until it is over."""
    if scenario.load == "backlog":
        return
    dice = random.Random(2)
    rate = capacity * scenario.of_capacity
    moment = time.monotonic()
    while not ending.wait(max(0.0, moment - time.monotonic())):
        at_once = scenario.workers if scenario.load == "burst" else 1
        for _ in range(at_once):
            fleet.submit(*next(requests))
        moment += at_once / rate if scenario.load == "burst" else dice.expovariate(rate)


def _now(database: Database) -> float:
    with reading(database) as connection:
        return clock(connection)


def _processor(fleet: Fleet, database: Database) -> tuple[float, float]:
    """Seconds of a processor that the services and PostgreSQL have used so far."""
    ids = [process.pid for process in fleet.processes] or [os.getpid()]
    services = sum(_used(psutil.Process(pid)) for pid in ids)
    if database.dialect.name == "sqlite":
        return services, 0.0
    with reading(database) as connection:
        main = psutil.Process(connection.scalar(text("SELECT pg_backend_pid()"))).ppid()
    return services, sum((_used(process) for process in psutil.Process(main).children()), 0.0)


def _used(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _counts(said: str) -> dict[str, float]:
    return {name: float(number) for name, number in json.loads(said).items()}
