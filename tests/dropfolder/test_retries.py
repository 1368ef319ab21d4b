"""What a fault leaves unanswered is answered later: the watcher works on its own claims again."""

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from app.client import ImageServiceClient
from app.dropfolder import Watcher
from app.dropfolder.beside import Beside, Held
from app.dropfolder.prompt_file import key_of, parse_name, read_prompt
from app.dropfolder.retries import Retries
from benchmarks.soak.disk import small_disk, take_all_room
from tests.dropfolder.test_watcher import WatcherProcess, answer_of, drop
from tests.running import RunningService


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("retries")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "drop").mkdir()
    return tmp_path / "drop"


def until_it_said(folder: Path, words: str) -> None:
    """Wait for words in the watcher's log."""
    deadline = time.monotonic() + 60
    while words not in (folder.parent / "watcher.out").read_text("utf-8", "replace"):
        assert time.monotonic() < deadline, words
        time.sleep(0.02)


@contextmanager
def a_watcher(folder: Path, url: str, parallel: int = 4) -> Iterator[None]:
    """One in this process."""
    watcher = Watcher(folder, ImageServiceClient(url), parallel=parallel, settle_s=0.02, scan_s=0.1, dead_after_s=3)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    try:
        yield
    finally:
        watcher.stop()
        thread.join(60)
        assert not thread.is_alive()


class Relay(ThreadingHTTPServer):
    """Passes every call on to the real service, but for the first pictures, which it loses on the way.

    `before_pictures` is called before each of the others, with the address of the picture.
    """

    def __init__(self, url: str, losses: int = 0, before_pictures: Callable[[str], None] = lambda _: None) -> None:
        self.target, self.losses, self.lost = url, losses, 0
        self.before_pictures = before_pictures
        super().__init__(("127.0.0.1", 0), _RelayedCall)


class _RelayedCall(BaseHTTPRequestHandler):
    server: Relay

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _pass_on(self) -> None:
        if self.path.startswith("/images/") and self.server.lost < self.server.losses:
            self.server.lost += 1
            self.send_error(500)
            return
        if self.path.startswith("/images/"):
            self.server.before_pictures(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(self.command, self.server.target + self.path, data=body, headers=headers)
        self.send_response(answer.status_code)
        for name in ("Content-Type", "Location", "ETag"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)


def test_a_picture_that_could_not_be_fetched_is_fetched_later(folder: Path, service: RunningService) -> None:
    relay = Relay(service.url, losses=2)
    thread = threading.Thread(target=relay.serve_forever)
    thread.start()
    watcher = WatcherProcess(folder, f"http://127.0.0.1:{relay.server_port}")
    try:
        assert answer_of(drop(folder, b"a cat"), 90) is None
        assert relay.lost == 2
    finally:
        assert watcher.stop() == 0
        relay.shutdown()
        relay.server_close()
        thread.join()


def test_a_picture_that_was_deleted_before_it_was_delivered_is_told(folder: Path, service: RunningService) -> None:
    client = ImageServiceClient(service.url)
    with Relay(service.url, before_pictures=lambda path: client.delete_image(Path(path).stem)) as relay:
        thread = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            with a_watcher(folder, f"http://127.0.0.1:{relay.server_port}"):
                told = answer_of(drop(folder, b"a cat"), 90)
        finally:
            relay.shutdown()
            thread.join(10)
    assert told == "The picture was made and has been deleted from the library since.\n"


def test_a_key_that_another_request_has_used_holds_no_file_up(folder: Path, service: RunningService) -> None:
    client, mark = ImageServiceClient(service.url), str(uuid.uuid4())
    file = drop(folder, mark.encode())
    name = parse_name(file.name)
    assert name is not None
    for ending in ("", "-again"):  # as another version of the service may have understood the same file
        key = key_of(name, read_prompt(file), b"", None) + ending
        client.submit({"prompt": "a dog", "width": 64, "height": 64}, idempotency_key=key)
    with a_watcher(folder, service.url):
        assert answer_of(file, 90) is None
    assert [image.prompt for image in client.images(q=mark)[0]] == [mark]


def pause_when_idle(client: ImageServiceClient) -> None:
    """What other tests have left is done first."""
    deadline = time.monotonic() + 60
    while (queue := client.status().queue).queued + queue.running:
        assert time.monotonic() < deadline, queue
        time.sleep(0.02)
    client.set_paused(True)


def test_a_claim_that_was_taken_over_leaves_room_for_other_files(folder: Path, service: RunningService) -> None:
    client = ImageServiceClient(service.url)
    left = drop(folder, b"left by a dead watcher")
    left.rename(folder / f"{left.name}.claimed-by-gone-1")
    pause_when_idle(client)
    try:
        with a_watcher(folder, service.url, parallel=2):
            new = drop(folder, b"new")
            deadline = time.monotonic() + 60
            while client.status().queue.queued < 2:
                assert time.monotonic() < deadline, "the second was not asked for while the first was waiting"
                time.sleep(0.02)
            client.set_paused(False)
            assert [answer_of(left, 90), answer_of(new, 90)] == [None, None]
    finally:
        client.set_paused(False)


def test_no_more_files_are_claimed_than_are_worked_on(folder: Path, service: RunningService) -> None:
    client = ImageServiceClient(service.url)
    pause_when_idle(client)
    try:
        files = [drop(folder, b"one of three") for _ in range(3)]
        with a_watcher(folder, service.url, parallel=1):
            deadline = time.monotonic() + 60
            while client.status().queue.queued == 0:
                assert time.monotonic() < deadline, "none was asked for"
                time.sleep(0.02)
            assert len(list(folder.glob("*.claimed-by-*"))) == 1  # the others are free for other watchers
            client.set_paused(False)
            assert [answer_of(file, 90) for file in files] == [None] * 3
    finally:
        client.set_paused(False)


def test_a_file_is_asked_anew_for_another_model_and_for_other_pictures_beside_it(folder: Path) -> None:
    file = drop(folder, b"a cat")
    name = parse_name(file.name)
    assert name is not None
    prompt = read_prompt(file)
    held = [Held("canny", "none", b"1"), Held("canny", "canny", b"1"), Held("depth", "none", b"1")]
    beside = [Beside(), Beside(b"1"), Beside(b"2"), Beside(b"1", b"2"), *(Beside(b"1", control=(one,)) for one in held)]
    keys = [key_of(name, prompt, each.seal(), model) for each in beside for model in (None, "one", "two")]
    assert len(set(keys)) == len(keys)
    os.utime(file, ns=(0, prompt.written_ns + 1))
    assert key_of(name, read_prompt(file), b"", None) not in keys


def test_an_answer_that_could_not_be_written_is_written_later(folder: Path, service: RunningService) -> None:
    stem = f"{uuid.uuid4()}-1-64x64"
    (folder / f"{stem}.png").mkdir()  # whatever the reason: no file can be put there now
    watcher = WatcherProcess(folder, service.url)
    try:
        (folder / f"{stem}.txt").write_text("a cat")
        until_it_said(folder, "answer_put_off")
        (folder / f"{stem}.png").rmdir()
        assert answer_of(folder / f"{stem}.txt", 90) is None
        assert not list(folder.glob(".atelier-*"))
    finally:
        assert watcher.stop() == 0


def test_an_answer_waits_for_room_in_a_full_folder(tmp_path: Path, service: RunningService) -> None:
    with small_disk(tmp_path / "drop", 1) as folder:
        if folder is None:
            pytest.skip("mounting a small tmpfs is not allowed here")
        waiting = drop(folder, b"a cat")
        filler = folder / "filler"
        take_all_room(filler)
        watcher = WatcherProcess(folder, service.url)
        try:
            until_it_said(folder, "answer_put_off")
            filler.unlink()
            assert answer_of(waiting, 90) is None
            assert not list(folder.glob(".atelier-*"))
        finally:
            assert watcher.stop() == 0


def test_a_folder_that_is_away_for_a_while_is_waited_for(folder: Path, service: RunningService) -> None:
    watcher = WatcherProcess(folder, service.url)
    try:
        assert answer_of(drop(folder, b"a cat")) is None
        away = folder.rename(folder.with_name("away"))
        late = drop(away, b"a dog")
        until_it_said(folder, "folder_unreadable")
        away.rename(folder)
        assert answer_of(folder / late.name, 90) is None
    finally:
        assert watcher.stop() == 0


def test_a_folder_in_place_of_a_claim_blocks_nobody(folder: Path, service: RunningService) -> None:
    for number in range(8):  # twice as many as are worked on at once
        (folder / f"{uuid.uuid4()}-{number}-64x64.txt.claimed-by-gone").mkdir()
        os.mkfifo(folder / f"{uuid.uuid4()}-{number}-64x64.txt")
    watcher = WatcherProcess(folder, service.url)
    try:
        assert answer_of(drop(folder, b"a cat"), 90) is None
    finally:
        assert watcher.stop() == 0


def test_a_claim_in_work_is_not_begun_twice_and_one_put_off_waits_longer_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("app.dropfolder.retries.time.monotonic", lambda: now[0])
    name = parse_name(f"{uuid.uuid4()}-1-64x64.txt")
    assert name is not None
    claims, retries = [(name, Path("claim"))], Retries()
    assert retries.due(claims) == claims  # a claim of this watcher that nobody works on
    retries.begin(name.stem)
    assert retries.due(claims) == []
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        retries.put_off(name.stem)
        now[0] += pause - 0.01
        assert retries.due(claims) == []
        now[0] += 0.02
        assert retries.due(claims) == claims
        retries.begin(name.stem)
    retries.end(name.stem)
    assert retries.due(claims) == claims  # a new file of the same name
    retries.begin(name.stem)
    retries.put_off(name.stem)
    now[0] += 1.01
    assert retries.due(claims) == claims


class Busy(ThreadingHTTPServer):
    """A service that is full once, and says for how long; then it refuses."""

    def __init__(self) -> None:
        self.asked_at: list[float] = []
        super().__init__(("127.0.0.1", 0), _BusyCall)


class _BusyCall(BaseHTTPRequestHandler):
    server: Busy

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked_at.append(time.monotonic())
        code, status = ("queue_full", 429) if len(self.server.asked_at) == 1 else ("invalid_request", 422)
        body = json.dumps({"code": code, "detail": "no", "status": status}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Retry-After", "3")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_a_service_that_is_full_is_asked_again_when_it_said(folder: Path) -> None:
    with Busy() as busy:
        thread = threading.Thread(target=busy.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        watcher = WatcherProcess(folder, f"http://127.0.0.1:{busy.server_port}")
        try:
            assert answer_of(drop(folder, b"a cat")) == "no\n"
        finally:
            assert watcher.stop() == 0
            busy.shutdown()
            thread.join(10)
    first, second = busy.asked_at
    assert second - first >= 3
