"""The file behind a SQLite database: is it still where it was, and on a disk that can hold it?"""

import logging
import os
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from app.core.errors import DatabaseGone, DatabaseOnNetworkDisk

logger = logging.getLogger(__name__)
MOUNTS = Path("/proc/self/mountinfo")
# SQLite's write-ahead log needs memory shared by all who use the file, and locks that hold: https://sqlite.org/wal.html
NETWORK = re.compile(
    r"nfs4?|cifs|smb3|smbfs|ncpfs|afs|coda|ceph|glusterfs|lustre|beegfs|gpfs|orangefs|davfs"
    r"|fuse\.(sshfs|glusterfs|ceph.*|s3fs|rclone|gcsfuse|davfs2?|curlftpfs)"
)
# Folders of the host of a virtual machine: fine for one machine alone, as far as their locks are.
SHARED = re.compile(r"9p|virtiofs|vboxsf|fuse\.vmhgfs-fuse|prl_fs")
Identity = tuple[int, int]


def file_of(url: URL) -> Path | None:
    """The file of a SQLite URL, links followed; None for a database in memory or on a server."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name).resolve()


class FileWatch:
    """Notices that open connections write to a file that is no longer at its path: nothing in it would be found again.

    A moved file that comes back is the same file, and everything goes on.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._first: Identity | None = None

    def before_connect(self) -> None:
        """Raise DatabaseGone rather than let SQLite make a new, empty file where the old one was."""
        if self._file is not None and self._first is not None:
            self._compare(self._file, self._first)

    def after_connect(self, info: MutableMapping[Any, Any]) -> None:
        """Remember in `info` what a new connection has open."""
        if self._file is None:
            return
        self._first = self._first or _identity(self._file)
        info["log"] = _identity(self._log)

    def check(self, info: MutableMapping[Any, Any]) -> None:
        """Raise DatabaseGone if the connection of `info` does not write to what is at the path. Costs two `stat`s."""
        if self._file is None or self._first is None:
            return
        self._compare(self._file, self._first)
        # The log exists as long as a connection has it open; without it the newest commits would be lost.
        if info.get("log") is not None:
            self._compare(self._log, info["log"])

    @property
    def _log(self) -> Path:
        return Path(f"{self._file}-wal")

    def _compare(self, file: Path, wanted: Identity) -> None:
        if _identity(file) != wanted:
            raise DatabaseGone(f"The job table cannot be used: its file {file.name} was deleted or replaced.")


def _identity(file: Path) -> Identity | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def refuse_network_disk(file: Path) -> None:
    """Raise DatabaseOnNetworkDisk if `file` lies where SQLite's locks do not hold; warn where they may not."""
    try:
        kind = file_system_of(file, MOUNTS.read_text("utf-8", "replace"))
    except OSError:  # not Linux
        return
    if NETWORK.fullmatch(kind or ""):
        raise DatabaseOnNetworkDisk(
            f"The job table {file} would lie on a network disk ({kind}), where SQLite can lose or damage it."
        )
    if SHARED.fullmatch(kind or ""):
        logger.warning("The job table lies in a folder shared with another machine (%s): use it from one only", kind)


def file_system_of(file: Path, mounts: str) -> str | None:
    """The kind of file system that holds `file` (absolute), by the text of /proc/self/mountinfo."""
    found: tuple[int, str | None] = (-1, None)
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4]))
        if file.is_relative_to(point) and len(point.parts) >= found[0]:  # of two on one point the later one counts
            found = (len(point.parts), after.split(" ")[0])
    return found[1]
