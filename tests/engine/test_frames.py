"""The frames between service and child."""

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.frames import MAX_RAW_BYTES, Channel, FrameError

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Both ends of a channel."""
    left, right = (Channel(end) for end in socket.socketpair())
    yield left, right
    left.close()
    right.close()


def test_fields_and_bytes_arrive_as_they_were_sent(pair: Pair) -> None:
    pair[0].send("picture", b"\x00\xff" * 5, job="蘋果", index=3, how={"seconds": 0.5})
    frame = pair[1].receive()
    assert (frame.kind, frame.raw) == ("picture", b"\x00\xff" * 5)
    assert frame.fields == {"job": "蘋果", "index": 3, "how": {"seconds": 0.5}}


@given(text=st.text(st.characters(exclude_categories=["Cs"])), raw=st.binary())
def test_any_text_and_any_bytes_come_through(text: str, raw: bytes) -> None:
    left, right = (Channel(end) for end in socket.socketpair())
    left.send("x", raw, text=text)
    frame = right.receive()
    left.close()
    right.close()
    assert (frame.fields["text"], frame.raw) == (text, raw)


@pytest.mark.parametrize("carried", [4, 6])
def test_bytes_that_are_not_as_many_as_announced_are_no_frame(carried: int) -> None:
    ours, theirs = socket.socketpair()
    header = b'{"kind":"picture","raw":5}'
    with theirs:
        for message in (header, bytes(carried)):
            theirs.sendall(len(message).to_bytes(4, "big") + message)
        channel = Channel(ours)
        with pytest.raises(FrameError):
            channel.receive()
        channel.close()


def test_many_threads_may_send_at_once(pair: Pair) -> None:
    def send(number: int) -> None:
        for _ in range(50):
            pair[0].send("x", bytes([number]) * 50_000, number=number)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    frames = [pair[1].receive() for _ in range(200)]
    for thread in threads:
        thread.join()
    assert all(frame.raw == bytes([frame.fields["number"]]) * 50_000 for frame in frames)


def test_a_frame_that_is_too_large_is_not_sent(pair: Pair) -> None:
    with pytest.raises(FrameError):
        pair[0].send("x", bytes(MAX_RAW_BYTES + 1))
    with pytest.raises(FrameError):
        pair[0].send("x", text="x" * 2**24)
    pair[0].send("small")
    assert pair[1].receive().kind == "small"


def test_the_end_of_the_other_side_is_an_end_of_file(pair: Pair) -> None:
    pair[0].close()
    with pytest.raises(EOFError):
        pair[1].receive()


def test_a_send_to_an_end_that_does_not_read_gives_up() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours, send_timeout_s=0.2)
    with theirs, pytest.raises(OSError):
        channel.send("x", bytes(10**7))
    channel.close()
