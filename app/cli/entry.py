"""Commands that the service's own entry point does: its rooms are not the command line's."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.core.settings import PROJECT_FOLDER


def run_service(*arguments: str) -> None:
    """Run `image_generation_service.py` with these arguments, and end with its exit status."""
    own_python = PROJECT_FOLDER / ".venv-image" / "bin" / "python"
    command = [own_python if own_python.exists() else sys.executable, PROJECT_FOLDER / "image_generation_service.py"]
    raise typer.Exit(subprocess.run([*command, *arguments], check=False).returncode)


def backup(
    file: Annotated[Path, typer.Argument(help="Where to; an older backup is replaced once the new one is whole.")],
) -> None:
    """Copy jobs, favourites and the library's entries into one file. Run it on the service's machine; it may run."""
    run_service("--backup", str(file))


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `backup` made.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put a backup in the place of the database. The service must not run; the database that was there is kept."""
    if not yes:
        typer.confirm(f"Replace the database by {file}?", abort=True)
    run_service("--restore", str(file))
