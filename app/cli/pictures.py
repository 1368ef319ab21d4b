"""Where the command line puts pictures: names, no silent overwriting, whole files only."""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from app.cli.common import print_json
from app.client import ImageServiceClient
from app.core.errors import CallerError
from app.core.picture import FORMATS
from app.core.schema import ImageRef, Job
from app.core.settings import Settings

NAME_CHARS = 60
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="FILE.png (or .jpg, .webp, .avif), or a folder (existing, or written with a / at the end)."
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Let --out replace a file.")]
OTHER_PICTURES = (".jxl", ".gif", ".bmp", ".tif", ".tiff", ".heic")


def is_folder(out: Path) -> bool:
    """True if `--out` means a folder: it exists as one, or its name is no picture's.

    Raises CallerError for the name of a picture in another format.
    """
    if out.is_dir():
        return True
    if out.suffix.lower() in OTHER_PICTURES:
        raise CallerError(
            f"--out: {out} is not allowed; allowed is a name that ends in {', '.join(FORMATS)}, or a folder."
        )
    return out.suffix.lower() not in FORMATS


def tell_files(job: Job, files: Iterable[Path], as_json: bool) -> None:
    """Print where a job's pictures are: a line each, their notes to stderr; or the job as JSON with its `files`."""
    if as_json:
        print_json(job.model_dump(mode="json") | {"files": [str(file) for file in files]})
    else:
        for file in files:
            typer.echo(file)
        for note in dict.fromkeys(note for image in job.images for note in image.notes):
            typer.echo(f"Note: {note}", err=True)


def planned_files(out: Path, num_images: int) -> list[Path]:
    """The files that `--out FILE` will write; none for a folder, whose names are always new."""
    if is_folder(out):
        return []
    if num_images == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{index + 1}{out.suffix}") for index in range(num_images)]


def check_free(files: Iterable[Path]) -> None:
    """Raises CallerError, before anything is made, if a file is there already."""
    for file in files:
        if file.exists():
            raise CallerError(f"{file} is there already. Choose another --out, or add --overwrite.")


def write_files(client: ImageServiceClient, job: Job, out: Path) -> list[Path]:
    """Download the job's images to `out`, each file at once or not at all; absolute paths."""
    planned = planned_files(out, len(job.images))
    folder = out if is_folder(out) else out.parent
    folder.mkdir(parents=True, exist_ok=True)
    files = planned or [out / _name(job, image) for image in job.images]
    for image, file in zip(job.images, files, strict=True):
        unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        unfinished.write_bytes(client.image_bytes(image.id, FORMATS[file.suffix.lower()]))
        unfinished.replace(file)
    return [file.absolute() for file in files]


def saved_files(client: ImageServiceClient, job: Job) -> list[Path]:
    """The files where the service saved them, or copies in this folder if they are not on this machine."""
    found = [_saved_file(client, image) for image in job.images]
    if all(found):
        return [file for file in found if file]
    return write_files(client, job, Path.cwd())


def _saved_file(client: ImageServiceClient, image: ImageRef) -> Path | None:
    file = Settings().output_folder / client.image(image.id).path
    # Another service may use the same names: the hash says whether this is really the picture.
    if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == image.sha256:
        return file.absolute()
    return None


def _name(job: Job, image: ImageRef) -> str:
    words = re.sub(r"[^\w]+", "-", job.request.prompt).strip("-_").lower()[:NAME_CHARS].rstrip("-")
    return f"{words or 'image'}-{image.seed}-{image.id[-8:]}.png"
