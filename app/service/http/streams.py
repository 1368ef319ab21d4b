"""Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request

from app.core.errors import CallerError, FieldError, InvalidRequest
from app.service.http import callers
from app.service.parts import current_parts

HEARTBEAT_S = 15.0
TICK_S = 1.0  # how often a waiting stream looks whether its reader or the service is gone


class CallerGone(CallerError):
    """Nobody waits for this answer any more."""

    code = "caller_gone"
    http_status = 499


@dataclass(frozen=True)
class StreamEvent:
    """One event: `seq` becomes the event's id; without one the reader's place in the stream does not move."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    seq: int | None = None

    def encode(self) -> bytes:
        """The event's lines."""
        head = "" if self.seq is None else f"id: {self.seq}\n"
        return f"{head}event: {self.kind}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n".encode()


def last_event_id() -> int:
    """The number behind which the reader wants to go on, from `Last-Event-ID`; 0 = from the start."""
    text = request.headers.get("Last-Event-ID", "").strip()
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise InvalidRequest([FieldError("Last-Event-ID", text, "allowed is the id of an event of this stream")])
    return int(text)


def event_stream(events: Iterator[StreamEvent | None]) -> Response:
    """Answer with a stream of `events`; `None` stands for a second in which nothing happened.

    Takes a seat (TooManyStreams if there is none) until the reader is gone or the events end; then `events` is
    closed. Ends with the event `shutdown` if the service stops first.
    """
    parts = current_parts()
    with callers.seat(parts) as seat:
        return seat.keep(stream_response(_lines(events, parts.lifecycle.stopped.is_set, end_of_caller())))


def stream_response(lines: Iterator[bytes]) -> Response:
    """The answer that sends these lines as they come."""
    response = Response(lines, mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold the events back
    return response


def hang_up_if_the_caller_did() -> None:
    """Raise CallerGone if nobody would read the answer to this request any more, or may not any more."""
    if end_of_caller()():
        raise CallerGone()


def end_of_caller() -> Callable[[], bool]:
    """Tells whether the caller of this request hung up, or lost the key. May be asked after the request, any thread."""
    connection, key, keys = request.environ.get("gunicorn.socket"), callers.current().key, callers.ring()

    def is_over() -> bool:
        lost = key is not None and not keys.accepts(key)
        return lost or (connection is not None and _reader_is_gone(connection))

    return is_over


def _lines(events: Iterator[StreamEvent | None], stopped: Any, is_over: Callable[[], bool]) -> Iterator[bytes]:
    last_sent = looked = time.monotonic()
    yield b": hello\n\n"  # headers and first bytes leave at once, so the reader knows that it is connected
    for event in events:
        if event is None or time.monotonic() - looked >= TICK_S:  # also where there is always an event
            looked = time.monotonic()
            if is_over():
                return
        if event is not None:
            yield event.encode()
        elif stopped():
            break
        elif time.monotonic() - last_sent >= HEARTBEAT_S:
            yield b": still here\n\n"
        else:
            continue
        last_sent = time.monotonic()
    if stopped():
        yield StreamEvent("shutdown").encode()


def _reader_is_gone(connection: socket.socket) -> bool:
    """True if the other side hung up. Otherwise a closed tab would hold its seat until the next heartbeat fails."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
