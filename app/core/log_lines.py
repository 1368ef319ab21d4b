"""What a log line may hold: no control characters, no keys, no values of the code that failed, and not too much."""

import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

MAX_CHARS = 4_000
MAX_FRAMES = 24
MAX_CAUSES = 6
SERVING = ("request_id", "job_id")  # a line with one of these is about what somebody sent
# C0 and C1, line and paragraph separators, what turns the direction of writing, halves of surrogate pairs.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_KEY = re.compile(r"atelier_[A-Za-z0-9_-]{16,}")
Event = MutableMapping[str, Any]


def plain(text: str) -> str:
    """The text on one line: control characters as escapes, API keys masked, cut after 4,000 characters."""
    shown = text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1] + "…"
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), _KEY.sub("atelier_…", shown))


class Plain:
    """Makes every value of a log line plain, and an exception a traceback without a single value in it.

    `verbose`: the messages of exceptions are shown even where a request is served or a job is run. Otherwise they are
    left out there, because they may quote what somebody sent.
    """

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose

    def __call__(self, _logger: Any, _method: str, event: Event) -> Event:
        """Called by structlog."""
        error = _error_of(event.pop("exc_info", None))
        for name, value in event.items():
            if not isinstance(value, bool | int | float | None) and not name.startswith("_"):
                event[name] = plain(value if isinstance(value, str) else repr(value))
        if error is not None:
            quiet = not self._verbose and any(name in event for name in SERVING)
            event["exception"] = "\n".join(_lines(error, with_messages=not quiet))
        return event


def _error_of(given: Any) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def _lines(error: BaseException, *, with_messages: bool) -> list[str]:
    """The traceback, the error's causes first: files, lines, functions, source; never the values of variables."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain and len(chain) < MAX_CAUSES:
        chain.insert(0, cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    lines: list[str] = []
    for one in chain:
        if lines:
            lines.append("then:")
        lines += _frames(one)
        kind = type(one)
        lines.append(f"{kind.__module__}.{kind.__qualname__}" + (f": {_message(one)}" if with_messages else ""))
    return lines


def _frames(error: BaseException) -> list[str]:
    frames = [
        f"  {plain(frame.filename)}:{frame.lineno} {frame.name}: {plain(frame.line or '')}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    if len(frames) <= MAX_FRAMES:
        return frames
    return [*frames[:4], f"  … {len(frames) - MAX_FRAMES} more …", *frames[4 - MAX_FRAMES :]]


def _message(error: BaseException) -> str:
    try:
        return plain(str(error))
    except Exception:  # noqa: BLE001 - an exception that cannot even say its own name must not cost the line
        return "(no message)"
