"""What keeps files: a folder of this machine or of the network, or a bucket."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Listed:
    """A file that is there: its name in its folder, and when it was written, in seconds since 1970."""

    name: str
    modified: float


class Store(Protocol):
    """Files by paths with `/`, one folder deep. Every method may be called by any thread.

    All raise DiskFull where there is no room, and StorageUnavailable where it cannot be reached or refuses.
    """

    def write(self, path: str, data: bytes) -> None:
        """Keep a file whole or not at all; when this returns it survives a power cut. One that is there is replaced."""

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""

    def has(self, path: str) -> bool:
        """Is there such a file?"""

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""

    def check_writable(self, folder: str, needed_bytes: int = 0) -> None:
        """Try for real whether a file of so many bytes could be written into `folder` now; raise why not."""

    def folders(self) -> list[str]:
        """The names of the folders."""

    def files(self, folder: str) -> Iterator[Listed]:
        """The files of a folder, those of an unfinished write too; none if there is no such folder."""

    def free_bytes(self) -> int | None:
        """The room that is left; None if nobody can say."""
