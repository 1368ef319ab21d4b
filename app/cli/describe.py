"""`describe`: a picture file in, what it shows out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.common import JsonOption, KeyOption, UrlOption, connect, print_json
from app.cli.generate import finished
from app.cli.starts import read_picture


def describe(
    picture: Annotated[Path, typer.Argument(help="PNG, JPEG or WebP.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Key of a model that describes; the usual one if absent.")
    ] = None,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Of the text: en or zh.")] = "en",
    question: Annotated[str, typer.Option(help="What to say of it, for models that answer questions.")] = "",
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Say what a picture shows."""
    data = read_picture(picture, "picture")
    with connect(url, key) as client:
        sha256 = client.upload(data).sha256
        job = client.describe(sha256=sha256, model=model, language=language, prompt=question)
        job = finished(client, job, quiet=as_json)
    if as_json:
        print_json(job)
    else:
        typer.echo(job.text or "")
