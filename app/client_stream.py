"""Reading server-sent events, and how long to wait between two tries. Used by the client only."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from urllib3 import HTTPResponse

from app.core.errors import ServiceError, ServiceUnreachable
from app.core.schema import JobState

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
READ_BYTES = 65536


@dataclass(frozen=True)
class Event:
    """One event of a job: `queued, loading, step, image, succeeded, failed, cancelled`.

    `seq` numbers the state changes 1, 2, 3 …; it is None for `step` and `loading`, which are never repeated.
    """

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    seq: int | None = None

    @property
    def ends_job(self) -> bool:
        """True if no event can follow this one."""
        return self.kind in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


def read_lines(body: HTTPResponse) -> Iterator[bytes]:
    """The lines of a body, each as soon as it has arrived; an unfinished last line is dropped.

    requests' own `iter_lines` waits until a buffer is full where the server does not send in chunks, or goes byte
    by byte, which is too slow for previews.
    """
    rest = b""
    while part := body.read1(READ_BYTES, decode_content=True):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")


def read_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events of one `text/event-stream` body (https://html.spec.whatwg.org/multipage/server-sent-events.html).

    Comments are skipped, and so are the `shutdown` notice of a stopping service and a block cut off by the end.
    """
    kind, seq, data = "", None, list[str]()
    for raw in lines:
        line = raw.decode("utf-8", "replace")
        if not line:
            if data and kind != "shutdown":
                yield Event(kind or "message", _as_dict("\n".join(data)), seq)
            kind, seq, data = "", None, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id" and value.isdigit():
            seq = int(value)


class Backoff:
    """Pauses that double from 0.2 to 5 s, until `patience_s` have passed without an answer."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self.reset()

    def reset(self) -> None:
        """Start again with short pauses and full patience."""
        self._pause_s = FIRST_PAUSE_S
        self.answered()

    def answered(self) -> None:
        """Something answered: full patience again, the pauses stay as long as they are."""
        self._gone_since: float | None = None

    def wait(self, *, because: ServiceError) -> None:
        """Sleep before the next try. Raises ServiceUnreachable when the patience is used up."""
        now = time.monotonic()
        if self._gone_since is None:
            self._gone_since = now
        if now - self._gone_since + self._pause_s > self._patience_s:
            raise ServiceUnreachable(
                f"{because.message} Gave up after {self._patience_s:g} s; the job itself is not lost.",
                hint=because.hint,
            ) from because
        self.pause()

    def pause(self) -> None:
        """Sleep a little longer than the last time."""
        time.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)


def _as_dict(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {"text": text}
    return value if isinstance(value, dict) else {"value": value}
