"""The pictures that stand beside a prompt file, by their names: to start from, a mask, to hold the new one."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.control import MAX_UNITS, Preprocessor
from app.dropfolder.prompt_file import PromptName, RefusedPrompt, parse_stem, read_regular

MAX_PICTURE_BYTES = 32 * 2**20  # the service's own limit is lower
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
START, MASK, CONTROL = "start", "mask", "control-"
MADE_BY = "@"  # between a control model's key and the preprocessor
SLASH = "--"  # in the place of the one in a key, which no file name holds


@dataclass(frozen=True)
class Held:
    """What holds the new picture: the control model's key, what is made of the picture first, and its bytes."""

    model: str
    preprocessor: str
    picture: bytes


@dataclass(frozen=True)
class Beside:
    """What stands beside one prompt file: the pictures' bytes, as they were sent."""

    start: bytes | None = None
    mask: bytes | None = None
    control: tuple[Held, ...] = ()

    def seal(self) -> bytes:
        """The same for the same pictures in the same places, and only then."""
        # What came first stands as it always did: a key that is known stays.
        found = b"" if self.start is None else b"\0" + hashlib.sha256(self.start).digest()
        if self.mask is not None:
            found += b"\0mask " + hashlib.sha256(self.mask).digest()
        for held in self.control:
            found += f"\0{held.model} {held.preprocessor} ".encode() + hashlib.sha256(held.picture).digest()
        return found

    def fields(self, upload: Callable[[bytes], str]) -> dict[str, Any]:
        """The fields of a request. `upload` hands a picture over and gives its SHA-256."""
        fields: dict[str, Any] = {}
        if self.start is not None:
            roles = {"image": self.start, **({"mask": self.mask} if self.mask is not None else {})}
            inputs = [{"role": role, "sha256": upload(picture)} for role, picture in roles.items()]
            fields = {"task": "inpaint" if self.mask is not None else "image", "inputs": inputs}
        if self.control:
            units = [
                {"model": held.model, "preprocessor": held.preprocessor, "image": upload(held.picture)}
                for held in self.control
            ]
            fields["control"] = units
        return fields


def files_beside(folder: Path, name: PromptName) -> list[Path]:
    """The pictures that belong to a prompt file, by name. Raises OSError if the folder cannot be read."""
    return [folder / file for _, file in sorted(_named(folder, name))]


def read_beside(folder: Path, name: PromptName) -> Beside:
    """What stands beside a prompt file.

    Raises RefusedPrompt for what is no readable regular file with one name, for two pictures in one place, a mask
    without a picture, an unknown preprocessor and too many that hold; FileNotFoundError if one is gone meanwhile.
    """
    found: dict[str, list[bytes]] = {START: [], MASK: []}
    control = []
    for place, file in sorted(_named(folder, name)):
        kind = f"{place.removesuffix('-')} picture"
        data = read_regular(folder / file, "mask" if place == MASK else kind, MAX_PICTURE_BYTES)[0]
        if place == CONTROL:
            control.append(Held(*_model_of(name, file), data))
        else:
            found[place].append(data)
    if len(found[START]) > 1:
        raise RefusedPrompt(f"There are {len(found[START])} pictures to start from beside the prompt; one is allowed.")
    if len(found[MASK]) > 1:
        raise RefusedPrompt(f"There are {len(found[MASK])} masks beside the prompt; one is allowed.")
    if found[MASK] and not found[START]:
        raise RefusedPrompt("There is a mask beside the prompt, but no picture to start from.")
    if len(control) > MAX_UNITS:
        raise RefusedPrompt(f"There are {len(control)} control pictures beside the prompt; {MAX_UNITS} are allowed.")
    return Beside(next(iter(found[START]), None), next(iter(found[MASK]), None), tuple(control))


def _named(folder: Path, name: PromptName) -> Iterator[tuple[str, str]]:
    """Place and file name of each. A name that is an answer to another prompt is none of them."""
    before = f"{name.stem}-"
    for entry in os.scandir(folder):
        stem, ending = os.path.splitext(entry.name)
        if ending not in ENDINGS or not stem.startswith(before) or parse_stem(stem):
            continue
        place = stem.removeprefix(before)
        if place in (START, MASK):
            yield place, entry.name
        elif place.startswith(CONTROL) and place != CONTROL:
            yield CONTROL, entry.name


def _model_of(name: PromptName, file: str) -> tuple[str, str]:
    """The control model's key and the preprocessor that a file's name says."""
    said = os.path.splitext(file)[0].removeprefix(f"{name.stem}-{CONTROL}")
    model, _, preprocessor = said.partition(MADE_BY)
    allowed = [each.value for each in Preprocessor]
    if preprocessor and preprocessor not in allowed:
        raise RefusedPrompt(f"{file} names the preprocessor {preprocessor!r}; allowed are {', '.join(allowed)}.")
    return model.replace(SLASH, "/"), preprocessor or Preprocessor.NONE.value
