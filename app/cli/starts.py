"""Pictures on the command line that a new one starts from."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from app.client import ImageServiceClient
from app.core.control import Preprocessor
from app.core.schema import InputRef
from app.core.sizes import sides_to_ratio

CONTROL_FORM = "MODEL:PICTURE[:WEIGHT[:PREPROCESSOR[:START-END]]]"
CONTROL_DEFAULTS = ("1", Preprocessor.NONE.value, "0-1")
RATIO = re.compile(r"[1-9]\d{0,2}:[1-9]\d{0,2}")
SIDES = ("left", "top", "right", "bottom")


def start_fields(
    client: ImageServiceClient,
    pictures: Sequence[Path],
    mask: Path | None,
    strength: float | None,
    extend: str | None,
    *,
    edit: bool = False,
) -> dict[str, Any]:
    """The fields of a request that starts from `pictures`, which are uploaded for it; {} if there is none.

    With `edit`, or with several of them, the first is changed as the prompt says. Raises BadParameter for a mask, a
    strength, sides or `edit` without a picture, for sides that are none, and for a file that cannot be read.
    """
    if not pictures:
        for name, value in (("--mask", mask), ("--strength", strength), ("--extend", extend), ("--edit", edit or None)):
            if value is not None:
                raise typer.BadParameter("it needs a picture to start from (--from).", param_hint=name)
        return {}
    files = [("image" if place == 0 else "reference", "--from", file) for place, file in enumerate(pictures)]
    files += [("mask", "--mask", mask)] if mask else []
    kept = [client.upload(read_picture(file, name)) for _, name, file in files]
    inputs = [{"role": role, "sha256": ref.sha256} for (role, _, _), ref in zip(files, kept, strict=True)]
    task = "edit" if edit or len(pictures) > 1 else "inpaint" if mask or extend else "image"
    fields: dict[str, Any] = {"task": task, "inputs": inputs}
    if extend:
        fields["extend"] = _sides(extend, kept[0])
    return fields if strength is None else fields | {"strength": strength}


def control_fields(client: ImageServiceClient, units: list[str]) -> dict[str, Any]:
    """The field `control` of a request, by texts like `canny:edges.png:0.8:canny:0-0.6`; the pictures are uploaded.

    Raises BadParameter for a text that is none, and for a file that cannot be read.
    """
    made = []
    for text in units:
        model, _, rest = text.partition(":")
        file, *more = rest.split(":")
        try:
            weight, preprocessor, window = (*more, *CONTROL_DEFAULTS[len(more) :])
            start, end = window.split("-")
            numbers = {"weight": float(weight), "start": float(start), "end": float(end)}
        except ValueError:
            file = ""
        if not model or not file:
            raise typer.BadParameter(f"{text!r} is no control; allowed is {CONTROL_FORM}.", param_hint="--control")
        kept = client.upload(read_picture(Path(file), "--control"))
        made.append({"model": model, "image": kept.sha256, "preprocessor": preprocessor, **numbers})
    return {"control": made} if made else {}


def _sides(text: str, picture: InputRef) -> list[int]:
    """Pixels beyond the left, top, right and bottom: as they are named, or evenly to a ratio."""
    if RATIO.fullmatch(text):
        return list(sides_to_ratio(picture.width, picture.height, text))
    sides = dict.fromkeys(SIDES, 0)
    for part in text.split(","):
        name, _, pixels = part.strip().partition("=")
        if name not in sides or not pixels.isdecimal():
            allowed = f"allowed are {', '.join(SIDES)} with their pixels, like left=64,right=64, or a ratio like 16:9"
            raise typer.BadParameter(f"{text!r} is no list of sides; {allowed}.", param_hint="--extend")
        sides[name] = int(pixels)
    return list(sides.values())


def read_picture(file: Path, name: str) -> bytes:
    """The bytes of a file. Raises BadParameter, by the `name` of the option, for one that cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}.", param_hint=name) from None
