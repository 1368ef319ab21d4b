"""`upscale`: a picture file in, a larger one out."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.common import JsonOption, KeyOption, UrlOption, connect
from app.cli.generate import made
from app.cli.pictures import OutOption, OverwriteOption, check_free, planned_files, saved_files, tell_files, write_files
from app.cli.starts import read_picture


def upscale(
    picture: Annotated[Path, typer.Argument(help="PNG, JPEG or WebP.")],
    scale: Annotated[int, typer.Option(help="How many times as wide and as high: 2, 3 or 4.")] = 2,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Key of an upscaling model; without, Lanczos.")
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Make a picture larger and print where its file is. What its file says of its prompt is kept."""
    if out is not None and not overwrite:
        check_free(planned_files(out, 1))
    data = read_picture(picture, "picture")
    with connect(url, key) as client:
        kept = client.upload(data)
        first = (kept.said.get("recipe") or {}).get("request") or {}
        inputs = [{"role": "image", "sha256": kept.sha256}]
        request = {"prompt": first.get("prompt", ""), "task": "upscale", "inputs": inputs, "scale": scale}
        request |= {"model": model} if model else {}
        job = made(client, request, quiet=as_json)
        files = saved_files(client, job) if out is None else write_files(client, job, out)
    tell_files(job, files, as_json)
