"""Calls of the Linux kernel that Python has no function for."""

import ctypes
import os
from typing import Any

PR_SET_NO_NEW_PRIVS = 38  # prctl(2)
CAPABILITY_VERSION_3 = 0x20080522
FILE_CAPABILITIES = 0b1110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER: root may read other users' models

_libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: Any) -> int:
    """syscall(2). Raises OSError."""
    # Numbers as long: a C int would leave the upper half of the register undefined.
    plain = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *plain)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def no_new_privileges() -> None:
    """No program started from here gains rights by its file. What both kinds of walls need first."""
    if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def drop_capabilities() -> None:
    """Root keeps the right to read and write files, and nothing else of what makes it root."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then the same for the upper 32
    _libc.capget(header, sets)
    kept = (ctypes.c_uint32 * 6)(sets[0] & FILE_CAPABILITIES, sets[1] & FILE_CAPABILITIES)
    if _libc.capset(header, kept) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
