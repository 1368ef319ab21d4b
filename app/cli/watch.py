"""`watch`: answer the prompt files of a drop folder."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from app.cli.common import KeyOption, UrlOption, client_of
from app.core.logs import configure_logs
from app.core.settings import Settings
from app.dropfolder import Watcher


def watch(
    folder: Annotated[Path, typer.Argument(help="The drop folder.", exists=True, file_okay=False, writable=True)],
    model: Annotated[str | None, typer.Option(help="Catalog key; the service's default model if absent.")] = None,
    parallel: Annotated[int, typer.Option(min=1, max=32, help="Prompt files worked on at once.")] = 4,
    polling: Annotated[bool, typer.Option("--polling", help="Scan only: for network file systems.")] = False,
    dead_after: Annotated[
        float,
        typer.Option(min=3, help="Seconds without a heartbeat after which another watcher's files are taken over."),
    ] = 30.0,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Turn `UUID-MESSAGEID-WIDTHxHEIGHT.txt` into `same-name.png` or `same-name-error.txt`, until Ctrl-C.

    The text of the file is the prompt. Several watchers, on several machines, may share one folder. A service that
    does not answer is waited for.
    """
    configure_logs(Settings().log_level)
    watcher = Watcher(
        folder, client_of(url, key), model=model, parallel=parallel, polling=polling, dead_after_s=dead_after
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: watcher.stop())
    watcher.run()
