"""A disk that takes no pictures for a while: jobs wait and say why, new ones are refused, it goes on by itself."""

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from app.storage import folder as storage
from tests.buckets import BUCKET, S3Server
from tests.service.conftest import House

JOBS = 6
Break = Callable[[], AbstractContextManager[None]]


def until(true: Callable[[], object], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space left"):  # noqa: PT012
        while True:
            stream.write(bytes(4096))
    yield
    filler.unlink()


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


@contextmanager
def answering(disk: Path, reason: int) -> Iterator[None]:
    """Every write to the disk is answered with this error, as a broken or a lost network disk does."""

    def refuse(file: Path, _data: bytes) -> None:
        raise OSError(reason, os.strerror(reason), str(file))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(storage, "_write_new", refuse)
        yield


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (full, 507, "disk_full"),
        (read_only, 503, "storage_unavailable"),
        *(
            pytest.param(lambda disk, reason=reason: answering(disk, reason), 503, "storage_unavailable", id=name)
            for name, reason in (("EIO", errno.EIO), ("ESTALE", errno.ESTALE), ("EACCES", errno.EACCES))
        ),
    ],
)
def test_accepted_jobs_wait_for_the_disk_whatever_its_fault_and_succeed_when_it_is_back(
    make_house: Callable[..., House],
    disk: Path,
    fault: Callable[[Path], AbstractContextManager[None]],
    status: int,
    code: str,
) -> None:
    house = make_house(output_folder=disk, start_paused=True)
    jobs_wait_and_succeed(house, fault(disk), status, code, lambda: list(disk.rglob("*.png")))
    assert not list(disk.rglob("*.tmp"))


@contextmanager
def ended(server: S3Server) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@pytest.mark.parametrize(
    "fault", [ended, lambda server: full(server.folder)], ids=["server ended", "server's disk full"]
)
def test_accepted_jobs_wait_for_the_bucket_and_succeed_when_it_is_back(
    make_house: Callable[..., House],
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[S3Server], AbstractContextManager[None]],
) -> None:
    with S3Server(disk) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        house = make_house(output_bucket=f"s3://{BUCKET}/pictures", start_paused=True)
        # Its server does not tell a full disk from another fault.
        jobs_wait_and_succeed(
            house, fault(server), 503, "storage_unavailable", lambda: list(disk.rglob("*.png")), jobs=2
        )
        image = house.image()
        assert house.client.get(image["url"]).status_code == 200
        assert house.client.delete(f"/api/images/{image['id']}").status_code in (200, 204)
        assert len(list(disk.rglob("*.png"))) == 4


def jobs_wait_and_succeed(
    house: House,
    fault: AbstractContextManager[None],
    status: int,
    code: str,
    written: Callable[[], object],
    jobs: int = JOBS,
) -> None:
    ids = [house.submit(seed=seed)["id"] for seed in range(jobs)]
    known = house.client.post("/api/jobs", json={"prompt": "known"}, headers={"Idempotency-Key": "k"}).get_json()["id"]

    def waits(ids: list[str]) -> list[tuple[str, str]]:
        found = [house.client.get(f"/api/jobs/{job_id}").get_json() for job_id in ids]
        return [(job["state"], (job["waiting"] or {}).get("code")) for job in found]

    with fault:
        house.client.post("/api/queue/resume")
        until(lambda: [each["code"] for each in house.client.get("/api/status").get_json()["problems"]] == [code])
        until(lambda: waits(ids) == [("queued", code)] * jobs)
        refused = house.client.post("/api/jobs", json={"prompt": "one more"})
        assert (refused.status_code, refused.get_json()["code"]) == (status, code)
        again = house.client.post("/api/jobs", json={"prompt": "known"}, headers={"Idempotency-Key": "k"})
        assert (again.status_code, again.get_json()["id"]) == (200, known)  # it is accepted already
        assert not written()
    done = [house.finished(job_id, 60) for job_id in [*ids, known]]
    assert [(job["state"], job["error"], job["waiting"]) for job in done] == [("succeeded", None, None)] * (jobs + 1)
    until(lambda: house.client.get("/api/status").get_json()["problems"] == [])
    assert house.client.post("/api/jobs", json={"prompt": "one more"}).status_code == 202


def test_a_picture_that_the_disk_cannot_give_now_is_not_called_gone(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house()
    url = house.image()["url"]
    real = os.open

    def refuse(path: object, *rest: object, **more: object) -> int:
        if str(path).endswith(".png"):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return real(path, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        broken = house.client.get(url)
        assert (broken.status_code, broken.get_json()["code"]) == (503, "storage_unavailable")
    assert house.client.get(url).status_code == 200


def test_a_picture_whose_file_cannot_be_removed_stays_in_the_library(
    make_house: Callable[..., House], disk: Path
) -> None:
    house = make_house(output_folder=disk)
    image = house.image()
    with read_only(disk):
        refused = house.client.delete(f"/api/images/{image['id']}")
        assert (refused.status_code, refused.get_json()["code"]) == (503, "storage_unavailable")
        assert house.client.get(image["url"]).status_code == 200
    assert house.client.delete(f"/api/images/{image['id']}").status_code in (200, 204)
    assert house.client.get(image["url"]).status_code == 404
