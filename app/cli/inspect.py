"""`inspect`: how a picture file was made, whichever program wrote it."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.common import JsonOption, KeyOption, UrlOption, connect, print_json, shown
from app.core.answers import Inspection
from app.core.errors import CallerError
from app.core.fitting import Fit, fit

PictureFile = Annotated[Path, typer.Argument(metavar="FILE", help="A PNG, JPEG or WebP picture.")]


def inspect(file: PictureFile, as_json: JsonOption = False, url: UrlOption = None, key: KeyOption = None) -> None:
    """Say how a picture file was made, and what of that cannot be had here."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CallerError(f"{file} cannot be read: {error.strerror}.") from error
    with connect(url, key) as client:
        found = client.inspect(data)
        suited = fit(found.request, found.unusable, found.model, client.models()) if found.request else None
    if as_json:
        print_json(found.model_dump(mode="json") | {"fitted": suited.request if suited else None})
        return
    for line in _lines(found):
        typer.echo(line)
    for line in _differences(suited) if suited else []:
        typer.echo(line, err=True)


def _lines(found: Inspection) -> list[str]:
    """A line for each thing that the file says."""
    said = [("made by", found.made_by or "unknown"), ("pixels", f"{found.width}x{found.height}")]
    request = found.request or {}
    model = found.model or request.get("model")
    said += [("model", model)] if model else []
    said += [(name, value) for name, value in request.items() if name != "model" and value not in (None, "", [], ())]
    wide = max(len(name) for name, _ in said)
    return [f"{name:{wide}}  {shown(value)}" for name, value in said]


def _differences(suited: Fit) -> list[str]:
    """What is taken for what cannot be had."""
    said = [
        f"Note: {each.name} {shown(each.asked)} cannot be had here; "
        + ("it is left out." if each.fitted is None else f"the nearest is {shown(each.fitted)}.")
        for each in suited.differences
    ]
    return said
