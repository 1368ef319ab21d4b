"""What all commands share: where the service is, how values are shown, what an error looks like."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.client import ImageServiceClient
from app.core.errors import AtelierError, ServiceUnreachable
from app.core.settings import Settings

UrlOption = Annotated[
    str | None, typer.Option("--url", help="The image service; ATELIER_SERVICE_URL or this machine's if absent.")
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="API key. Better in ATELIER_API_KEY: others can read a command line."),
]
SHORTEST_LAST_COLUMN = 20
INTERRUPTED = 130  # the exit status after Ctrl-C
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for programs.")]


def connect(url: str | None, key: str | None) -> ImageServiceClient:
    """A client of the chosen service. Raises ServiceUnreachable at once, without the client's further tries."""
    client = client_of(url, key)
    client.health()
    return client


def client_of(url: str | None, key: str | None) -> ImageServiceClient:
    """A client of the chosen service, whether it runs or not."""
    settings = Settings()
    own_key = settings.api_key.get_secret_value() if settings.api_key else None
    return ImageServiceClient(url or settings.service_url, key or own_key, origin="cli")


def print_json(value: Any) -> None:
    """Any mixture of values, models and lists as JSON."""
    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """A table for the terminal. Only the last column is cut where the terminal is too narrow."""
    cells = [[shown(cell) for cell in row] for row in rows]
    *widths, last = (max(map(len, column)) for column in zip(columns, *cells, strict=True))
    console = Console(highlight=False)
    # What does not fit at all is wrapped by the terminal: an id that is cut could not be typed into the next command.
    console.width = max(console.width, sum(widths) + 2 * len(widths) + min(last, SHORTEST_LAST_COLUMN))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name, width in zip(columns, [*widths, None], strict=True):
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


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
