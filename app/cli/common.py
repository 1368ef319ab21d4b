"""What all commands share: where the service is, how values are shown, what an error looks like."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from app.client import ImageServiceClient
from app.core.errors import AtelierError, CallerError, ServiceError, ServiceUnreachable
from app.core.settings import Settings

UrlOption = Annotated[
    str | None, typer.Option("--url", help="The image service; ATELIER_SERVICE_URL or this machine's if absent.")
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="API key. Better in ATELIER_API_KEY: others can read a command line."),
]
# Those that JSON leaves as they are: C1 controls, line separators, and what turns the direction of writing.
_STEERING = re.compile("[\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")
SHORTEST_COLUMN = 12
PASSING = (400, 401, 403, 429, 500, 502, 503, 504)  # what the service itself, or a proxy before it, may answer
INTERRUPTED = 130  # the exit status after Ctrl-C
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for programs.")]


def connect(url: str | None, key: str | None) -> ImageServiceClient:
    """A client of the chosen service. Raises ServiceUnreachable at once, without the client's further tries, and
    WrongService for an address where something else answers."""
    client = client_of(url, key)
    try:
        answer = client.health()
    except ServiceUnreachable:
        raise
    except ServiceError as error:
        if error.http_status in PASSING:
            raise
        raise WrongService(f"{client.url} answers, but not as Atelier's image service: {error.message}") from error
    if not isinstance(answer, dict) or "status" not in answer:
        raise WrongService(f"{client.url} answers, but not as Atelier's image service.")
    return client


class WrongService(CallerError):
    """Something else answers at the address of the image service."""

    code = "wrong_service"

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="Check --url or ATELIER_SERVICE_URL. The page (7860) is not the service (5001).")


def client_of(url: str | None, key: str | None) -> ImageServiceClient:
    """A client of the chosen service, whether it runs or not."""
    settings = Settings()
    own_key = settings.api_key.get_secret_value() if settings.api_key else None
    return ImageServiceClient(url or settings.service_url, key or own_key, origin="cli")


def print_json(value: Any) -> None:
    """Any mixture of values, models and lists as JSON, without characters that would steer the terminal."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, indent=2)
    typer.echo(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def print_table(columns: Sequence[str], rows: Iterable[Iterable[Any]], *, cut: int = 1) -> None:
    """A table for the terminal, one line a row.

    Where it is too narrow the last `cut` columns are cut, and no other: an id that is cut could not be typed into the
    next command. What still does not fit is wrapped by the terminal. What goes into a file or a pipe is never cut.
    """
    cells = [list(columns), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    console = Console(highlight=False)
    if console.is_terminal or os.environ.get("COLUMNS"):
        _narrow(widths, cut, console.width)
    for number, row in enumerate(cells):
        line = "  ".join(_fitted(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        console.print(Text(line, "bold" if number == 0 else ""), soft_wrap=True)


def _narrow(widths: list[int], cut: int, room: int) -> None:
    """Take from the last `cut` widths, the widest first, until all fit into `room` or are as short as they may be."""
    too_much = 0 if cut == 0 else sum(widths) + 2 * (len(widths) - 1) - room
    while too_much > 0:
        widest = max(range(len(widths) - cut, len(widths)), key=lambda column: widths[column])
        if widths[widest] <= SHORTEST_COLUMN:
            return
        next_one = max([SHORTEST_COLUMN, *(w for w in widths[-cut:] if w < widths[widest])])
        less = min(too_much, widths[widest] - next_one)
        widths[widest] -= less
        too_much -= less


def _fitted(cell: str, width: int) -> str:
    """The cell in exactly `width` columns of the terminal, with an ellipsis where it was cut."""
    return set_cell_size(cell, width) if cell_len(cell) <= width else set_cell_size(cell, width - 1) + "…"


def shown(value: Any) -> str:
    """A value as a person reads it, on one line and without characters that would steer the terminal."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return "".join(char if char.isprintable() else " " for char in str(value))


def shown_size(size_bytes: float | None) -> str:
    """Bytes in the largest fitting unit."""
    if not size_bytes:
        return "–"
    for unit in ("bytes", "KiB", "MiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} GiB"


def shown_seconds(seconds: float | None) -> str:
    """A duration: 3.1 s, 2 min 05 s."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"


def failure_lines(error: AtelierError) -> list[str]:
    """What a person reads when a command fails."""
    lines = [f"Error: {shown(error.message)}"]
    if isinstance(error, ServiceUnreachable):
        lines.append("Start it with ./quick_start.sh")
        lines.append('or, for one picture:  ./quick_start.sh generate "a red apple on a white table"')
    elif error.hint:
        lines.append(shown(error.hint))
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")
