"""The names of the library's files, and what is there of them. How they are written is `app/storage`'s."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.storage import TMP_SUFFIX, Store

# `<day>/<job id>-<index>.png`; a job that ran again adds its attempt, so that no two attempts share a name.
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME = re.compile(r"(?P<job>[0-9A-Za-z-]{1,64}?)-(?P<index>\d{1,4})(?:\.(?P<attempt>\d{1,9}))?\.png")


@dataclass(frozen=True)
class Found:
    """One picture file: its path inside the folder with `/`, what its name says, and when it was last written."""

    path: str
    job_id: str
    index: int
    attempt: int
    modified: float


def picture_path(day: str, job_id: str, index: int, attempt: int) -> str:
    """The path, inside the library folder, of one image of one attempt."""
    suffix = f".{attempt}" if attempt > 1 else ""
    return f"{day}/{job_id}-{index}{suffix}.png"


def pictures(store: Store) -> Iterator[Found]:
    """Every picture file with a name of ours, newest day first; links and other names are passed over."""
    for day in sorted(_days(store), reverse=True):
        for file in store.files(day):
            name = _NAME.fullmatch(file.name)
            if name:
                attempt = int(name["attempt"] or 1)
                yield Found(f"{day}/{file.name}", name["job"], int(name["index"]), attempt, file.modified)


def temporaries(store: Store) -> Iterator[tuple[str, float]]:
    """Path and time of the last write of every temporary file that a crash left."""
    for day in _days(store):
        for file in store.files(day):
            if file.name.startswith(".") and file.name.endswith(TMP_SUFFIX):
                yield f"{day}/{file.name}", file.modified


def _days(store: Store) -> list[str]:
    return [name for name in store.folders() if _DAY.fullmatch(name)]
