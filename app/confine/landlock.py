"""Landlock(7): from here on this process reaches the files it names, and no others. Nothing takes it back."""

import ctypes
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from app.confine.kernel import call

# Numbers and bits are the same on every processor; linux/landlock.h.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION = 1
RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_DIR, MAKE_REG = 1 << 7, 1 << 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
# How many file rights each version of Landlock knows. Whatever a kernel knows is refused unless allowed below.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
TCP_BIND, TCP_CONNECT = 1, 2
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1, 2

READ = READ_FILE | READ_DIR  # and no EXECUTE: libraries are mapped, programs are not started
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE
USE = READ_FILE | READ_DIR | WRITE_FILE | IOCTL_DEV
FOR_FILES = EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV  # what a rule about no folder may say


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The kernel's version of Landlock; 0 = it has none, or it is switched off."""
    try:
        return call(CREATE_RULESET, None, 0, ASK_VERSION)
    except OSError:
        return 0


def restrict_files(read: Iterable[str], write: Iterable[str], use: Iterable[str]) -> None:
    """This thread, and what it starts, can only read `read`, only write `write`, only use the devices `use`.

    A folder counts with all below it; a path that is not there is passed over. Other processes cannot be traced or,
    from version 6 on, sent signals. Call it before there are other threads. Raises OSError.
    """
    known = version()
    handled = (1 << FILE_RIGHTS[min(known, max(FILE_RIGHTS))]) - 1
    rules = _Ruleset(
        handled,
        TCP_BIND | TCP_CONNECT if known >= 4 else 0,
        SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS if known >= 6 else 0,
    )
    ruleset = call(CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules), 0)
    try:
        for paths, allowed in ((read, READ), (write, WRITE), (use, USE)):
            for path in paths:
                with suppress(FileNotFoundError, NotADirectoryError):
                    _allow(ruleset, path, allowed & handled)
        call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= FOR_FILES
        rule = _PathBeneath(rights, descriptor)
        call(ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
