"""Many connections, slow ones and broken ones, against the real server: short calls go on, nobody is left behind."""

import hashlib
import resource
import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import requests

from tests.running import RunningService

KEY = {"Authorization": "Bearer secret"}
JOB = {"prompt": "x", "width": 64, "height": 64}
HALF = (
    b"GET /health HTTP/1.1\r\nHost: 127.",
    b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
    b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    b"",
)
WAITING = (
    b"POST /api/generate HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer secret\r\n"
    b'Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{"prompt": "x"}'
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """With few threads, a key, and a paused queue."""
    folder = tmp_path_factory.mktemp("connections")
    keys = folder / "keys"
    keys.write_text(f"admin:{hashlib.sha256(b'secret').hexdigest()}\n")
    with RunningService(
        folder, THREADS="8", API_KEYS_FILE=str(keys), START_PAUSED="true", WATCHDOG_S="5", PRELOAD="false"
    ) as running:
        yield running


def worker(service: RunningService) -> psutil.Process:
    return psutil.Process(service.process.pid).children()[0]


def connect(service: RunningService, text: bytes = b"", receive_buffer: int | None = None) -> socket.socket:
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", service.port))
    sock.sendall(text)
    return sock


def health_s(service: RunningService, times: int = 15) -> list[float]:
    """Seconds that health checks of a new caller took, each."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        assert requests.get(f"{service.url}/health", timeout=20).status_code == 200
        found.append(time.perf_counter() - began)
    return found


def waiting_calls(service: RunningService) -> int:
    number = requests.get(f"{service.url}/api/status", headers=KEY, timeout=20).json()["waiting_calls"]
    assert isinstance(number, int)
    return number


def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_500_half_open_slow_and_waiting_connections_leave_health_and_submits_as_they_were(
    service: RunningService,
) -> None:
    before = statistics.median(health_s(service))
    with ExitStack() as stack:
        for number in range(500):
            text = WAITING if number % 5 == 4 else HALF[number % 5]
            stack.enter_context(connect(service, text))
        until(lambda: waiting_calls(service) == 6)
        assert statistics.median(health_s(service)) < max(0.1, 5 * before)  # 5: this machine may have become busier
        answer = requests.post(f"{service.url}/api/jobs", json=JOB, headers=KEY, timeout=20)
        assert answer.status_code == 202
    until(lambda: waiting_calls(service) == 0)  # callers who are gone give their threads back


def test_readers_who_do_not_read_hold_no_thread(service: RunningService) -> None:
    wanted = b"GET /docs/ui.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(service, wanted, receive_buffer=4096)) for _ in range(24)]
        assert requests.get(f"{service.url}/api/jobs", headers=KEY, timeout=20).status_code == 200
        head, _, body = slow[-1].recv(4096).partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        while len(body) < length:
            body += slow[-1].recv(2**16)
    assert body == requests.get(f"{service.url}/docs/ui.js", timeout=20).content


def test_a_request_may_come_in_pieces_and_several_on_one_connection(service: RunningService) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"prompt": "in pieces",'
        yield b' "width": 64, "height": 64}'

    with requests.Session() as session:
        headers = KEY | {"Content-Type": "application/json"}
        answer = session.post(f"{service.url}/api/jobs", data=pieces(), headers=headers, timeout=20)
        assert answer.status_code == 202
        assert answer.json()["request"]["prompt"] == "in pieces"
        assert session.post(f"{service.url}/nowhere", data=b"x" * 10**6, timeout=20).status_code == 404
        assert session.get(f"{service.url}/health", timeout=20).status_code == 200
    several = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3
    with connect(service, several + several.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)) as sock:
        told = b""
        while data := sock.recv(2**16):
            told += data
    assert told.count(b"HTTP/1.1 200 OK") == 4  # and what came behind `close` is not answered


def test_who_asks_before_a_long_body_is_told_to_go_on_once(service: RunningService) -> None:
    head = b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nExpect: 100-continue\r\n"
    with connect(service, head + b"Content-Type: application/json\r\nContent-Length: 15\r\n\r\n") as sock:
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b'{"prompt": "x"}')
        assert sock.recv(2**16).startswith(b"HTTP/1.1 202")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"NONSENSE canary\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nAuthorization : Bearer canary\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", b"4"),
    ],
)
def test_what_is_no_proper_http_is_refused_and_the_connection_closed(
    service: RunningService, text: bytes, status: bytes
) -> None:
    with connect(service, text) as sock:
        told = b""
        while data := sock.recv(2**16):
            told += data
    assert told.startswith(b"HTTP/1.1 " + status)
    assert b"canary" not in told
    assert "canary" not in service.log


def test_a_prefix_of_the_path_is_taken_from_nobody(service: RunningService) -> None:
    answer = requests.get(
        f"{service.url}/health", headers={"SCRIPT_NAME": "/evil", "PATH_INFO": "/api/jobs"}, timeout=20
    )
    assert answer.status_code in (200, 400)
    assert "evil" not in answer.text
    told = requests.post(f"{service.url}/api/jobs", json=JOB, headers=KEY | {"SCRIPT_NAME": "/evil"}, timeout=20)
    assert "evil" not in told.headers.get("Location", "")


def test_more_connections_than_descriptors_end_the_oldest_and_not_the_service(service: RunningService) -> None:
    process = worker(service)
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (process.num_fds() + 100, before[1]))
    try:
        with ExitStack() as stack:
            first = stack.enter_context(connect(service))
            for _ in range(300):
                stack.enter_context(connect(service))
            assert first.recv(1) == b""
            assert requests.get(f"{service.url}/health", timeout=20).status_code == 200
            assert requests.post(f"{service.url}/api/jobs", json=JOB, headers=KEY, timeout=20).status_code == 202
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
    assert worker(service).pid == process.pid


def test_streams_that_are_reset_give_their_seats_back(service: RunningService) -> None:
    job = requests.post(f"{service.url}/api/jobs", json=JOB, headers=KEY, timeout=20).json()["id"]
    text = f"GET /api/jobs/{job}/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n\r\n".encode()
    for _ in range(3):
        socks = [connect(service, text) for _ in range(6)]
        until(lambda: waiting_calls(service) == 6)
        for sock in socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not a goodbye
            sock.close()
        until(lambda: waiting_calls(service) == 0)


def ready(service: RunningService) -> bool:
    try:
        return requests.get(f"{service.url}/ready", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_a_paused_machine_costs_no_process(service: RunningService) -> None:
    arbiter = psutil.Process(service.process.pid)
    process = worker(service)
    everybody = [arbiter, *arbiter.children(recursive=True)]
    for one in everybody:
        one.suspend()
    time.sleep(7)  # longer than the watchdog's five seconds: there is nothing to wait for but time
    for one in everybody:
        one.resume()
    until(lambda: ready(service))
    seen = service.log.count("WORKER TIMEOUT")
    time.sleep(2)  # the arbiter looks once a second
    assert service.log.count("WORKER TIMEOUT") == seen == 0
    assert worker(service).pid == process.pid


def test_a_frozen_http_process_is_replaced_and_keeps_its_jobs(service: RunningService) -> None:
    job = requests.post(f"{service.url}/api/jobs", json=JOB, headers=KEY, timeout=20).json()["id"]
    frozen = worker(service)
    frozen.suspend()
    until(lambda: ready(service), timeout_s=90)
    assert worker(service).pid != frozen.pid
    assert requests.get(f"{service.url}/api/jobs/{job}", headers=KEY, timeout=20).json()["state"] == "queued"


def test_files_of_the_service_are_for_its_owner_alone(service: RunningService) -> None:
    folder = service.folder
    found: list[Path] = [place for part in ("data", "logs", "output") for place in folder.glob(f"{part}/**/*")]
    assert {"atelier.db", "image_service.log", ".lock"} <= {place.name for place in found}
    for place in (folder / "data", folder / "logs", *found):
        assert place.stat().st_mode & 0o077 == 0, place
