"""What every store promises, and what a bucket says when its server does not do as told."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.errors import DiskFull, StorageUnavailable
from app.core.settings import Settings, WrongSettings
from app.storage import Folder, Store, open_store
from app.storage.bucket import Bucket
from tests.buckets import BUCKET, S3Server

DAY = "2026-11-22"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("buckets")) as server:
        yield server


@pytest.fixture
def server(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, server: S3Server) -> Store:
    values = {"output_folder": tmp_path / "pictures"}
    if request.param == "bucket":
        values["output_bucket"] = f"s3://{BUCKET}/{tmp_path.name}"
    opened = open_store(Settings(**values))
    assert isinstance(opened, Bucket if request.param == "bucket" else Folder)
    return opened


def test_what_is_written_is_there_is_replaced_and_goes(store: Store) -> None:
    store.check_writable(DAY)
    store.write(f"{DAY}/one.png", b"first")
    store.write(f"{DAY}/two.png", bytes(300_000))
    store.write("inputs/one.png", b"another")
    store.write(f"{DAY}/one.png", b"second")
    assert (store.read(f"{DAY}/one.png"), store.read("inputs/one.png")) == (b"second", b"another")
    assert len(store.read(f"{DAY}/two.png")) == 300_000
    assert sorted(store.folders()) == [DAY, "inputs"]
    assert sorted(file.name for file in store.files(DAY)) == ["one.png", "two.png"]
    store.remove(f"{DAY}/one.png")
    store.remove(f"{DAY}/one.png")  # what is not there is no error
    assert [file.name for file in store.files(DAY)] == ["two.png"]
    assert (store.has(f"{DAY}/one.png"), store.has(f"{DAY}/two.png")) == (False, True)


def test_what_is_not_there_is_said_to_be_missing(store: Store) -> None:
    store.write(f"{DAY}/one.png", b"x")
    with pytest.raises(FileNotFoundError):
        store.read(f"{DAY}/two.png")
    assert not list(store.files("no such folder"))


def test_the_time_of_a_file_is_that_of_its_writing(store: Store, tmp_path: Path) -> None:
    store.write(f"{DAY}/one.png", b"x")
    (tmp_path / "now").touch()
    [file] = store.files(DAY)
    assert abs(file.modified - (tmp_path / "now").stat().st_mtime) < 60


def test_a_server_killed_in_the_middle_of_a_write_leaves_no_part_and_takes_it_later(server: S3Server) -> None:
    bucket, found = Bucket(f"s3://{BUCKET}/killed"), []

    def write() -> None:
        try:
            bucket.write(f"{DAY}/one.png", os.urandom(8_000_000))
        except StorageUnavailable as error:
            found.append(error)

    bucket.check_writable(DAY)
    os.kill(server.process.pid, signal.SIGSTOP)  # its socket takes a part of it; nobody reads it
    writing = threading.Thread(target=write)
    writing.start()
    writing.join(0.2)
    assert writing.is_alive()
    server.kill()
    writing.join(60)
    assert [type(error) for error in found] == [StorageUnavailable]
    with pytest.raises(StorageUnavailable, match="The bucket of the pictures cannot be used"):
        bucket.read(f"{DAY}/one.png")
    server.start()
    assert not bucket.has(f"{DAY}/one.png")
    write()
    assert len(bucket.read(f"{DAY}/one.png")) == 8_000_000


def test_a_bucket_that_is_not_there_is_not_taken_for_missing_pictures(server: S3Server) -> None:
    bucket = Bucket("s3://no-such-bucket")
    for call in (lambda: bucket.read("a/b.png"), lambda: bucket.write("a/b.png", b"x")):
        with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
            call()


def test_a_wrong_key_is_told_as_the_server_tells_it(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    bucket = Bucket(f"s3://{BUCKET}")
    with pytest.raises(StorageUnavailable, match="SignatureDoesNotMatch") as refused:
        bucket.write("a/b.png", b"x")
    assert "another" not in str(refused.value)


@pytest.mark.parametrize(
    "word", ["507 Insufficient Storage", "<Code>XMinioStorageFull</Code>", "<Code>QuotaExceeded</Code>"]
)
def test_a_server_without_room_is_called_a_full_disk(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(f"Server returned non-2xx status code: {word}")

    monkeypatch.setattr("obstore.put", refuse)
    with pytest.raises(DiskFull):
        Bucket(f"s3://{BUCKET}").write("a/b.png", b"x")


@pytest.mark.parametrize("url", ["http://host/bucket", "s3://", "s3://UPPER", "s3://bucket/a b", "bucket"])
def test_what_is_no_bucket_is_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(
        WrongSettings, match=r"ATELIER_OUTPUT_BUCKET is .*; allowed is s3://bucket or s3://bucket/prefix"
    ):
        Settings(output_bucket=url)


def test_a_bucket_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(WrongSettings) as refused:
        open_store(Settings(output_bucket=f"s3://{BUCKET}"))
    assert refused.value.hint == "pip install -r requirements-s3.txt"
