"""Pictures on the command line that a new one starts from."""

from pathlib import Path
from typing import Any

import typer

from app.client import ImageServiceClient


def start_fields(
    client: ImageServiceClient, picture: Path | None, mask: Path | None, strength: float | None
) -> dict[str, Any]:
    """The fields of a request that starts from `picture`, which is uploaded for it; {} if there is none.

    Raises BadParameter for a mask or a strength without a picture, and for a file that cannot be read.
    """
    if picture is None:
        for name, value in (("--mask", mask), ("--strength", strength)):
            if value is not None:
                raise typer.BadParameter("it needs a picture to start from (--from).", param_hint=name)
        return {}
    files = [("image", "--from", picture)] + ([("mask", "--mask", mask)] if mask else [])
    inputs = [{"role": role, "sha256": client.upload(_read(file, name)).sha256} for role, name, file in files]
    fields = {"task": "inpaint" if mask else "image", "inputs": inputs}
    return fields if strength is None else fields | {"strength": strength}


def _read(file: Path, name: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}.", param_hint=name) from None
