"""No door answers 500 or more, whatever is sent: requests made up for every address, and bytes that are no HTTP."""

import socket
from collections.abc import Callable

import pytest

from tests.doors.odd_requests import addresses, send
from tests.running import RunningService
from tests.service.conftest import House, make_house, make_settings

__all__ = ["make_house", "make_settings"]  # fixtures
REQUESTS = 900


@pytest.fixture(scope="module")
def odd_house(make_house: Callable[..., House]) -> House:
    return make_house(max_queue=20, max_images=2)


def test_no_made_up_request_is_our_fault(odd_house: House) -> None:
    image = odd_house.image(num_inference_steps=1)
    known = [image["id"], odd_house.submit(num_inference_steps=1)["id"], "pocket", "other"]
    *_, sent = send(odd_house.service.app, REQUESTS, seed=1, known=known)
    assert sent.ours == []
    assert set(sent.addresses) == set(addresses(odd_house.service.app))
    assert {"playground", "environment", "openai", "automatic1111", "native.jobs"} <= {door for door, _ in sent.counts}
    accepted = {door for door, status in sent.counts if status < 300}
    assert {
        "playground",
        "environment",
        "openai",
        "automatic1111",
        "native.jobs",
    } <= accepted  # not everything is refused


HEAD = b"POST /%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
BROKEN = {
    "chunk size": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n",
    "huge chunk": b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "chunk without end": b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}\r\n",
    "missing terminator": b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}zz0\r\n\r\n",
    "wrong length": b"Content-Length: -1\r\n\r\n{}",
    "no number": b"Content-Length: 1e3\r\n\r\n{}",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "too short": b"Content-Length: 500\r\n\r\n{",
    "unknown coding": b"Transfer-Encoding: gzip\r\n\r\n{}",
}


@pytest.mark.parametrize("path", ["api/jobs", "prompt", "image/generate", "v1/images/generations", "sdapi/v1/txt2img"])
def test_bytes_that_are_no_http_are_the_senders_fault(service: RunningService, path: str) -> None:
    statuses = {name: status_of(service.port, HEAD % path.encode() + rest) for name, rest in BROKEN.items()}
    assert {name: status for name, status in statuses.items() if status is not None and not 400 <= status < 500} == {}


def status_of(port: int, request: bytes) -> int | None:
    """The status of the answer to these bytes, or None if the connection was only closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return int(answer.split()[1]) if answer.startswith(b"HTTP/") else None
