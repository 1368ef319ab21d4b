"""Watchers as processes, on a real folder, before a real service. They are killed and lose nothing."""

import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client import ImageServiceClient
from tests.dropfolder.killed_watcher import STEPS
from tests.running import ROOT, RunningService


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with pytest.MonkeyPatch.context() as patch:  # what its owner has downloaded is no matter
        patch.setenv("HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub cache")))
        running = RunningService(tmp_path_factory.mktemp("drop"))
    with running:
        yield running


class WatcherProcess:
    """`python -m app watch` on a folder."""

    def __init__(self, folder: Path, url: str, *options: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
        with (folder.parent / "watcher.out").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "watch", str(folder), "--url", url, "--dead-after", "3", *options],
                cwd=ROOT,
                env=environment,
                stdout=out,
                stderr=out,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "drop").mkdir()
    return tmp_path / "drop"


@pytest.fixture
def watcher(folder: Path, service: RunningService) -> Iterator[WatcherProcess]:
    process = WatcherProcess(folder, service.url)
    yield process
    assert process.stop() == 0


def drop(folder: Path, prompt: bytes, size: str = "64x64") -> Path:
    """Write a prompt file the way a careful writer does; its path."""
    file = folder / f"{uuid.uuid4()}-msg.1-{size}.txt"
    part = folder / f"{uuid.uuid4()}.part"
    part.write_bytes(prompt)
    part.rename(file)
    return file


def answer_of(file: Path, timeout_s: float = 40) -> str | None:
    """The error's text, or None for a picture; once the prompt file is gone."""
    error = file.with_name(f"{file.stem}-error.txt")
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not os.path.lexists(file) and not list(file.parent.glob(f"{file.name}.claimed*")):
            if error.exists():
                return error.read_text()
            assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
            return None
        time.sleep(0.02)
    raise AssertionError(f"no answer: {sorted(path.name for path in file.parent.iterdir())}")


def test_prompt_files_become_pictures_or_readable_errors(folder: Path, watcher: WatcherProcess) -> None:
    good = drop(folder, "\ufeffa blue bird 一只鸟\r\n".encode())
    empty, binary = drop(folder, b""), drop(folder, b"\xff\xfe\xfd")
    odd_size, failing = drop(folder, b"a cat", "65x64"), drop(folder, b"!error")
    (folder / "notes.txt").write_text("left alone")
    assert answer_of(good) is None
    assert "empty" in (answer_of(empty) or "")
    assert "UTF" in (answer_of(binary) or "")
    refused = answer_of(odd_size) or ""
    assert "65" in refused
    assert "steps of 8" in refused
    assert answer_of(failing)
    assert (folder / "notes.txt").read_text() == "left alone"


def test_links_pipes_and_huge_files_are_refused_and_nothing_outside_is_touched(
    folder: Path, watcher: WatcherProcess
) -> None:
    secret = folder.parent / "secret.txt"
    secret.write_text("a secret")
    link = folder / f"{uuid.uuid4()}-1-64x64.txt"
    link.symlink_to(secret)
    pipe = folder / f"{uuid.uuid4()}-2-64x64.txt"
    os.mkfifo(pipe)
    huge = drop(folder, b"x" * (2**20 + 1))
    for refused in (link, pipe):
        assert "regular file" in (answer_of(refused) or "")
    assert "bytes" in (answer_of(huge) or "")
    assert secret.read_text() == "a secret"


def test_a_half_written_file_waits_for_its_end(folder: Path, watcher: WatcherProcess, service: RunningService) -> None:
    mark = str(uuid.uuid4())
    file = folder / f"{uuid.uuid4()}-3-64x64.txt"
    with file.open("w") as stream:
        for word in ("a", "red", "apple", mark):
            stream.write(f"{word} ")
            stream.flush()
            time.sleep(0.05)
    assert answer_of(file) is None
    [image] = ImageServiceClient(service.url).images(q=mark)[0]
    assert image.prompt == f"a red apple {mark}"


def test_polling_alone_finds_files_on_a_network_folder(folder: Path, service: RunningService) -> None:
    process = WatcherProcess(folder, service.url, "--polling")
    try:
        assert answer_of(drop(folder, b"a cat")) is None
    finally:
        assert process.stop() == 0


def test_a_model_that_is_not_installed_is_an_error_that_says_how_to_get_it(
    folder: Path, service: RunningService
) -> None:
    process = WatcherProcess(folder, service.url, "--model", "sdxl-turbo")
    try:
        told = answer_of(drop(folder, b"a cat", "512x512")) or ""
    finally:
        assert process.stop() == 0
    assert "sdxl-turbo is not on this machine" in told
    assert "models download sdxl-turbo" in told


def test_two_watchers_that_are_killed_answer_every_file_once(folder: Path, service: RunningService) -> None:
    chance = random.Random(7)
    mark = str(uuid.uuid4())
    watchers = [WatcherProcess(folder, service.url) for _ in range(2)]
    try:
        files = [drop(folder, f"cat {number} {mark}".encode()) for number in range(60)]
        for _ in range(4):
            time.sleep(chance.uniform(0.3, 1.2))
            victim = chance.randrange(2)
            watchers[victim].kill()
            watchers[victim] = WatcherProcess(folder, service.url)
        assert [answer_of(file, 90) for file in files] == [None] * len(files)
    finally:
        ended = [process.stop() for process in watchers]
    assert ended == [0, 0]
    client, images, cursor = ImageServiceClient(service.url), [], None
    while True:
        page, cursor = client.images(q=mark, limit=50, cursor=cursor)
        images += page
        if cursor is None:
            break
    assert sorted(image.prompt for image in images) == sorted(f"cat {number} {mark}" for number in range(60))
    leftovers = [path.name for path in folder.iterdir() if path.suffix != ".png"]
    assert [name for name in leftovers if not name.startswith((".watcher-", ".atelier-"))] == []


def test_a_watcher_that_is_killed_at_each_step_of_its_way_answers_the_file_once(
    folder: Path, service: RunningService, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    mark = str(uuid.uuid4())
    file = drop(folder, f"a cat {mark}".encode())
    command = [sys.executable, "-m", "tests.dropfolder.killed_watcher", str(folder), service.url, str(marks)]
    assert subprocess.run(command, cwd=ROOT, timeout=300).returncode == 0
    assert {path.name for path in marks.iterdir()} == {f"{owner.__name__}.{name}" for owner, name in STEPS}
    assert answer_of(file) is None
    [image] = ImageServiceClient(service.url).images(q=mark)[0]
    assert image.prompt == f"a cat {mark}"
    assert [path.name for path in folder.iterdir() if not path.name.startswith((".watcher-", ".atelier-"))] == [
        f"{file.stem}.png"
    ]


def test_a_service_that_comes_back_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    with RunningService(tmp_path / "service") as service:
        process = WatcherProcess(folder, service.url)
        try:
            slow = drop(folder, b"!slow a cat")
            time.sleep(1.5)
            service.kill()
            late = drop(folder, b"a dog")
            time.sleep(1)
            service.start()
            assert answer_of(slow) is None
            assert answer_of(late) is None
        finally:
            assert process.stop() == 0
