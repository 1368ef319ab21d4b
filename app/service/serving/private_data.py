"""Files for the owner alone: prompts, pictures and hashes of keys are nobody else's business on a shared machine."""

import os
from contextlib import suppress
from pathlib import Path

OWNERS_ONLY = 0o077
OURS = ("atelier.db*", "api_keys*", ".lock*")


def from_now_on() -> None:
    """What this process and its children make is for their owner alone. Takes nothing from a stricter umask."""
    os.umask(os.umask(OWNERS_ONLY) | OWNERS_ONLY)


def tighten(data_folder: Path) -> None:
    """Take from all others what an earlier version left readable: the data folder and our files in it."""
    found = [data_folder, *(file for pattern in OURS for file in data_folder.glob(pattern))]
    for place in found:
        with suppress(OSError):  # somebody else's: then it is theirs to close
            place.chmod(place.stat().st_mode & 0o7777 & ~OWNERS_ONLY)
