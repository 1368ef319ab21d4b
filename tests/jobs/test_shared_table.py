"""Several services on one PostgreSQL: whose job it is is decided by leases, and leases by the database's clock."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import select, text, update

from app.catalog import Catalog
from app.core.errors import DatabaseBusy
from app.core.schema import JobState
from app.core.settings import Settings
from app.database import clock, jobs, open_database, reading, writing
from app.jobs.dispatcher import Dispatcher
from app.jobs.live import LiveEvents
from app.jobs.table import JobTable
from tests.engine.watching import NoInputs

from .engines import Shelf, SmallEngine
from .things import a_request, saved_images

pytestmark = pytest.mark.postgres
TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


def lease_left(database: sqlalchemy.Engine, job_id: str) -> float:
    """Seconds that the job's lease still lasts, by the database's clock."""
    with reading(database) as connection:
        return float(connection.scalar(select(jobs.c.lease_until).where(jobs.c.id == job_id))) - clock(connection)


def let_lease_end(database: sqlalchemy.Engine, job_id: str) -> None:
    with writing(database) as connection:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(lease_until=clock(connection) - 0.001))


def until(true: Callable[[], object], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("skew_s", [-3600.0, -45.0, 45.0, 3600.0])
def test_a_service_whose_clock_is_wrong_neither_steals_nor_loses_a_lease(
    postgres: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch, skew_s: float
) -> None:
    right, wrong = JobTable(postgres, boot_id="right"), JobTable(postgres, boot_id="wrong")
    for _ in range(2):
        right.submit(a_request(), origin="api")
    [of_right] = right.claim(lease_s=30)
    true_time = time.time
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: true_time() + skew_s)
        assert wrong.recover() == 0
        [of_wrong] = wrong.claim(lease_s=30)
        wrong.heartbeat([of_wrong.id], 30)
    for job in (of_right, of_wrong):
        assert 0 < lease_left(postgres, job.id) <= 30
    assert right.recover() == 0
    let_lease_end(postgres, of_right.id)
    let_lease_end(postgres, of_wrong.id)
    assert right.recover() == 2


def test_only_its_owner_renews_a_lease(postgres: sqlalchemy.Engine) -> None:
    owner, stranger = JobTable(postgres, boot_id="owner"), JobTable(postgres, boot_id="stranger")
    owner.submit(a_request(), origin="api")
    [job] = owner.claim(lease_s=30)
    stranger.heartbeat([job.id], 3600)
    assert lease_left(postgres, job.id) <= 30
    owner.heartbeat([job.id], 3600)
    assert lease_left(postgres, job.id) > 3000


@pytest.fixture
def start(postgres: sqlalchemy.Engine, tmp_path: Path) -> Iterator[Callable[..., tuple[JobTable, Shelf]]]:
    """Starts a service without HTTP on the shared table."""
    begun: list[Dispatcher] = []
    (tmp_path / "catalog.toml").write_text('[pocket]\ntitle = "Pocket"\n')

    def make(boot_id: str, lease_s: float = 6) -> tuple[JobTable, Shelf]:
        settings = Settings(models_folder=tmp_path, output_folder=tmp_path, preload=False, lease_s=lease_s)
        live, shelf = LiveEvents(), Shelf(tmp_path / boot_id)
        table = JobTable(postgres, boot_id=boot_id, on_event=live.publish)
        begun.append(Dispatcher(table, shelf, [SmallEngine()], live, Catalog(settings), settings, NoInputs()))
        begun[-1].start()
        return table, shelf

    yield make
    for dispatcher in begun:
        dispatcher.stop(0)


def test_a_service_at_work_renews_its_lease_before_it_ends(
    postgres: sqlalchemy.Engine, start: Callable[..., tuple[JobTable, Shelf]]
) -> None:
    table, _ = start("worker")
    job = table.submit(a_request("slow"), origin="api")[0]
    until(lambda: table.get(job.id).state == JobState.RUNNING)
    other = JobTable(postgres, boot_id="other")
    lefts = [lease_left(postgres, job.id)]

    def renewals() -> int:
        lefts.append(lease_left(postgres, job.id))
        assert other.recover() == 0
        return sum(after > before for before, after in itertools.pairwise(lefts))

    until(lambda: renewals() >= 2)
    assert min(lefts) > 0
    assert table.get(job.id).attempt == 1
    table.cancel(job.id)


def test_the_job_of_a_dead_service_is_taken_over_by_one_that_has_nothing_to_do(
    postgres: sqlalchemy.Engine, start: Callable[..., tuple[JobTable, Shelf]]
) -> None:
    dead = JobTable(postgres, boot_id="dead")
    dead.submit(a_request(), origin="api")
    [lost] = dead.claim(lease_s=3600)
    table, shelf = start("living")
    assert table.get(lost.id).state == JobState.RUNNING
    let_lease_end(postgres, lost.id)  # after the start: it is not the recovery of a start that finds it
    until(lambda: table.get(lost.id).state == JobState.SUCCEEDED)
    assert table.get(lost.id).attempt == 2
    assert not dead.finish(lost, saved_images(lost), seconds=1)
    assert len(shelf.files()) == 1


def test_who_saves_too_late_deletes_its_files(
    postgres: sqlalchemy.Engine, start: Callable[..., tuple[JobTable, Shelf]]
) -> None:
    table, shelf = start("slow saver", lease_s=3600)
    shelf.may_write.clear()
    job = table.submit(a_request(num_images=2), origin="api")[0]
    until(shelf.asked.is_set)
    let_lease_end(postgres, job.id)  # as if it had been paused for longer than that
    other = JobTable(postgres, boot_id="other")
    assert other.recover() == 1
    [again] = other.claim()
    images = saved_images(again)
    assert other.finish(again, images, seconds=1)
    shelf.may_write.set()
    until(lambda: shelf.left)
    until(lambda: not shelf.files())
    assert [image.id for image in table.get(job.id).images] == [image.id for image in images]


def test_no_wait_for_postgresql_is_endless(postgres: sqlalchemy.Engine) -> None:
    with reading(postgres) as connection:
        said = [connection.scalar(text(f"SHOW {name}")) for name in TIMEOUTS]
        link = connection.connection.dbapi_connection.info.get_parameters()
    assert said == ["30s", "10s", "10s"]
    assert (link["connect_timeout"], link["tcp_user_timeout"]) == ("10", "20000")
    assert [link[f"keepalives{name}"] for name in ("_idle", "_interval", "_count")] == ["10", "5", "3"]
    assert postgres.pool.timeout() == 10


def test_what_the_url_says_about_time_counts_more(postgres_url: str) -> None:
    database = open_database(f"{postgres_url}?connect_timeout=3&options=-c%20statement_timeout%3D7s")
    with reading(database) as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "7s"
        link = connection.connection.dbapi_connection.info.get_parameters()
    assert (link["connect_timeout"], link["tcp_user_timeout"]) == ("3", "20000")
    database.dispose()


def test_rows_locked_by_a_service_that_froze_in_a_transaction_are_free_again_by_themselves(
    postgres: sqlalchemy.Engine, postgres_url: str
) -> None:
    healthy = JobTable(postgres, boot_id="healthy")
    job = healthy.submit(a_request(), origin="api")[0]
    frozen = open_database(f"{postgres_url}?options=-c%20idle_in_transaction_session_timeout%3D500ms")

    def freeze() -> None:
        with writing(frozen) as connection:
            connection.execute(select(jobs).where(jobs.c.id == job.id).with_for_update())
            assert healthy.claim() == []
            until(lambda: healthy.claim())  # the one that froze never says another word
            connection.execute(text("SELECT 1"))

    with pytest.raises(DatabaseBusy):
        freeze()
    frozen.dispose()


def test_when_all_connections_are_in_use_it_is_busy_and_not_a_bug(postgres_url: str) -> None:
    database = sqlalchemy.create_engine(postgres_url, pool_size=1, max_overflow=0, pool_timeout=0.05)
    with reading(database), pytest.raises(DatabaseBusy, match="in use"), reading(database):
        pass
    database.dispose()
