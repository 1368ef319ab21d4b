"""What a download is to bring, and which words of the hub may become paths.

They come from the network, and later from a file that lies beside the model: nothing in them is believed.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.core.names import is_clean

PLAN_FILE = "atelier-download.json"
MAX_JSON_BYTES = 32 * 2**20
MAX_FILE_BYTES = 2**42
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BLOB = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # git's checksum, or SHA-256
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")


@dataclass(frozen=True)
class PlannedFile:
    """One file of a download: path in the repository, bytes, name of its blob, and the checksum if there is one."""

    path: str
    size: int
    blob: str
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for what could lead out of the model's folder, or is no size or checksum.

        These words come from the network and from a file beside the model, and become paths.
        """
        checksum = self.sha256 is None or _matches(_SHA256, self.sha256)
        size = type(self.size) is int and 0 <= self.size <= MAX_FILE_BYTES
        if not (is_inside(self.path) and size and _matches(_BLOB, self.blob) and checksum):
            raise ValueError(f"no file of a model: {str((self.path, self.size, self.blob, self.sha256))[:200]}")


@dataclass(frozen=True)
class DownloadPlan:
    """What a download is to bring. `asked` is the revision that was asked for, `commit` what it was at that time.

    `bare`: without the transformer's weights.
    """

    asked: str
    commit: str
    variant: str | None
    files: tuple[PlannedFile, ...]
    bare: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for a commit that is none, or a revision that is no name of one."""
        variant = self.variant is None or isinstance(self.variant, str)
        if not (is_commit(self.commit) and is_revision(self.asked) and variant and isinstance(self.bare, bool)):
            raise ValueError(f"no revision of a model: {str((self.asked, self.commit))[:200]}")

    @property
    def size(self) -> int:
        """Bytes in all; a blob that two files share counts once."""
        return sum({file.blob: file.size for file in self.files}.values())

    def write(self, storage: Path) -> None:
        """Keep it beside the files; a reader sees the old plan or the new one."""
        unfinished = storage / f"{PLAN_FILE}.tmp"
        unfinished.write_text(json.dumps(asdict(self)), encoding="utf-8")
        unfinished.replace(storage / PLAN_FILE)


def read_plan(storage: Path) -> DownloadPlan | None:
    """The plan of the last download of ours, or None."""
    try:
        values = read_json(storage / PLAN_FILE) or {}
        files = tuple(PlannedFile(**file) for file in values.pop("files"))
        return DownloadPlan(files=files, **values)
    except (ValueError, TypeError, KeyError):
        return None


def is_commit(text: object) -> bool:
    """True for a commit as git names it: 40 digits of hexadecimal."""
    return _matches(_COMMIT, text)


def is_revision(text: object) -> bool:
    """True for a branch, tag or commit that can be the name of a file below `refs`."""
    return _matches(_REVISION, text) and is_inside(text)


def is_inside(path: object) -> bool:
    """True for a relative path that stays below its folder, on every system: no `..`, no drive, nothing invisible."""
    if not isinstance(path, str) or "\\" in path or ":" in path:
        return False
    return all(is_clean(part) and part not in (".", "..") for part in path.split("/"))


def _matches(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def read_json(file: Path) -> dict[str, Any] | None:
    """The JSON object in a file of at most 32 MiB; None for anything else."""
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_JSON_BYTES + 1)
        value = json.loads(text) if len(text) <= MAX_JSON_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
