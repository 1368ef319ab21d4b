"""Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request

from app.core.errors import FieldError, InvalidRequest
from app.service.parts import current_parts

HEARTBEAT_S = 15.0
TICK_S = 1.0  # how often a waiting stream looks whether its reader or the service is gone


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
    parts, seats = current_parts(), current_parts().seats
    connection = request.environ.get("gunicorn.socket")
    seats.take()
    response = Response(_lines(events, parts.lifecycle.stopped.is_set, connection), mimetype="text/event-stream")
    response.call_on_close(seats.leave)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold the events back
    return response


def _lines(events: Iterator[StreamEvent | None], stopped: Any, connection: socket.socket | None) -> Iterator[bytes]:
    last_sent = time.monotonic()
    yield b": hello\n\n"  # headers and first bytes leave at once, so the reader knows that it is connected
    for event in events:
        if event is not None:
            yield event.encode()
        elif stopped():
            break
        elif connection is not None and _reader_is_gone(connection):
            return
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
