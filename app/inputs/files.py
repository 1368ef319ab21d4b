"""The names of the files of uploaded pictures, inside the folder of the library."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from app.storage import TMP_SUFFIX

FOLDER = "inputs"
_NAME = re.compile(r"([0-9a-f]{64})\.png")


def input_path(sha256: str) -> str:
    """Where a picture lies below the library's folder."""
    return f"{FOLDER}/{sha256}.png"


def pictures(root: Path) -> Iterator[tuple[str, float]]:
    """SHA-256 and time of the last write of each file with a name of ours; links are passed over."""
    for entry in _entries(root):
        name = _NAME.fullmatch(entry.name)
        if name and entry.is_file(follow_symlinks=False):
            yield name[1], entry.stat(follow_symlinks=False).st_mtime


def temporaries(root: Path) -> Iterator[tuple[str, float]]:
    """Path and time of the last write of every temporary file that a crash left."""
    for entry in _entries(root):
        ours = entry.name.startswith(".") and entry.name.endswith(TMP_SUFFIX)
        if ours and entry.is_file(follow_symlinks=False):
            yield f"{FOLDER}/{entry.name}", entry.stat(follow_symlinks=False).st_mtime


def _entries(root: Path) -> list[os.DirEntry[str]]:
    folder = root / FOLDER
    if not folder.is_dir() or folder.is_symlink():
        return []
    with os.scandir(folder) as entries:
        return list(entries)
