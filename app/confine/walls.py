"""All walls around one process: what is left to it, and what this machine cannot keep from it."""

import sys
from dataclasses import dataclass

from app.confine import calls, landlock, memory
from app.confine.kernel import drop_capabilities, no_new_privileges


@dataclass(frozen=True)
class Walls:
    """What a process may still do. Paths are absolute; a folder counts with all below it.

    `data_bytes` bounds the memory of its own (None = unbounded: a GPU's driver reserves far more than it uses).
    `local_sockets`: see `calls.restrict_calls`.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    use: tuple[str, ...] = ()
    data_bytes: int | None = None
    local_sockets: bool = False


def missing() -> tuple[str, ...]:
    """What this machine cannot keep from a process, each in a sentence; nothing where all walls stand."""
    if sys.platform != "linux":
        return (f"{sys.platform} has no walls that a process can raise around itself: only its environment is cut.",)
    found = []
    if not landlock.version():
        found.append("This kernel has no Landlock (Linux 5.13 and later have): any file of this user can be read.")
    if not calls.available():
        found.append("This kernel or processor has no seccomp filter: connections can be made.")
    return tuple(found)


def raise_walls(walls: Walls) -> None:
    """Take everything else away from this process, for good, as far as this machine can (see `missing`).

    Call it before there are other threads and before anything that is not trusted is read. Raises OSError.
    """
    if sys.platform != "linux":
        return
    if walls.data_bytes is not None:
        memory.bound(walls.data_bytes)
    memory.go_first()
    no_new_privileges()
    if landlock.version():
        landlock.restrict_files(walls.read, walls.write, walls.use)
    drop_capabilities()
    if calls.available():
        calls.restrict_calls(local_sockets=walls.local_sockets)
