"""How much memory a process may take, and that the kernel takes it first when there is none left."""

import importlib
from contextlib import suppress
from pathlib import Path

import psutil

OOM_SCORE = Path("/proc/self/oom_score_adj")
FIRST_TO_GO = "500"  # of 1000; what it started with is 0


def go_first() -> None:
    """When memory runs out, the kernel ends this process and not the one that holds the queue. Linux only."""
    with suppress(OSError):
        OOM_SCORE.write_text(FIRST_TO_GO)


def bound(data_bytes: int) -> None:
    """Let this process take so much memory of its own: more is a MemoryError. Files that are mapped do not count."""
    _limit("RLIMIT_DATA", data_bytes)


def no_core_file() -> None:
    """A crash writes no file: it would hold the prompts. Nothing on Windows, where it writes none."""
    with suppress(ImportError):
        _limit("RLIMIT_CORE", 0)


def _limit(name: str, value: int) -> None:
    resource = importlib.import_module("resource")  # Windows has none
    resource.setrlimit(getattr(resource, name), (value, value))


def all_memory() -> int:
    """Bytes of RAM and swap of this machine: more of its own than that no process can use."""
    return psutil.virtual_memory().total + psutil.swap_memory().total
