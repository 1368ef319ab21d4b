"""The names of the files of uploaded pictures, inside the folder of the library."""

import re
from collections.abc import Iterator

from app.storage import TMP_SUFFIX, Store

FOLDER = "inputs"
_NAME = re.compile(r"([0-9a-f]{64})\.png")


def input_path(sha256: str) -> str:
    """Where a picture lies below the library's folder."""
    return f"{FOLDER}/{sha256}.png"


def pictures(store: Store) -> Iterator[tuple[str, float]]:
    """SHA-256 and time of the last write of each file with a name of ours; links are passed over."""
    for file in store.files(FOLDER):
        name = _NAME.fullmatch(file.name)
        if name:
            yield name[1], file.modified


def temporaries(store: Store) -> Iterator[tuple[str, float]]:
    """Path and time of the last write of every temporary file that a crash left."""
    for file in store.files(FOLDER):
        if file.name.startswith(".") and file.name.endswith(TMP_SUFFIX):
            yield f"{FOLDER}/{file.name}", file.modified
