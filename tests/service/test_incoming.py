"""When a request is whole: found while it comes in, byte by byte, whatever its sender does."""

import pytest

from app.service.serving.incoming import MAX_CHUNKS, MAX_HEAD_BYTES, Incoming

GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /api/jobs HTTP/1.1\r\nHost: x\r\ncontent-LENGTH: 5\r\n\r\nabcde"
CHUNKED = (
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
)


@pytest.mark.parametrize("request_", [GET, POST, CHUNKED])
@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_a_request_is_whole_at_its_last_byte_and_not_before(request_: bytes, step: int) -> None:
    incoming = Incoming(max_body=100)
    for start in range(0, len(request_), step):
        assert not incoming.complete
        incoming.feed(request_[start : start + step])
    assert incoming.complete
    assert not incoming.cut
    assert bytes(incoming.data) == request_


def test_what_comes_behind_a_request_is_kept_for_the_next_one() -> None:
    incoming = Incoming(max_body=100)
    incoming.feed(POST + GET)
    assert incoming.complete
    assert bytes(incoming.data) == POST + GET


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (GET, True),
        (b"HEAD /health?x HTTP/1.1\r\n\r\n", True),
        (b"GET /healthy HTTP/1.1\r\n\r\n", False),
        (b"POST /health HTTP/1.1\r\n\r\n", False),
        (POST, False),
    ],
)
def test_only_a_health_check_takes_the_free_thread(text: bytes, is_one: bool) -> None:
    incoming = Incoming(max_body=100)
    incoming.feed(text)
    assert incoming.is_health_check is is_one


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 999999999999999\r\nExpect: 100-continue\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
        b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES,
    ],
)
def test_a_body_that_is_too_long_or_none_is_answered_at_once_and_nothing_may_follow(request_: bytes) -> None:
    incoming = Incoming(max_body=100)
    assert incoming.feed(request_) is False
    assert incoming.complete
    assert incoming.cut


def test_chunks_together_may_not_be_longer_than_a_body() -> None:
    incoming = Incoming(max_body=100)
    incoming.feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"20\r\n" + b"x" * 32 + b"\r\n") * 3)
    assert not incoming.complete
    incoming.feed(b"20\r\n")
    assert incoming.cut


def test_a_body_comes_in_a_bounded_number_of_chunks() -> None:
    head, chunk, end = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", b"0\r\n\r\n"
    most = Incoming(max_body=2**20)
    most.feed(head + chunk * MAX_CHUNKS + end)
    assert (most.complete, most.cut) == (True, False)
    more = Incoming(max_body=2**20)
    more.feed(head + chunk * (MAX_CHUNKS + 1))
    assert (more.complete, more.cut) == (True, True)


def test_who_waits_for_a_word_before_the_body_gets_it_once() -> None:
    head = b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n"
    incoming = Incoming(max_body=100)
    assert incoming.feed(head) is True
    assert not incoming.complete
    assert incoming.feed(b"abc") is False
    assert bytes(incoming.data) == b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    assert Incoming(max_body=100).feed(head + b"abc") is False  # it did not wait
