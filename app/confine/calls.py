"""seccomp(2): from here on this process makes no connection, starts no program and touches no other process."""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app.confine.kernel import call

SET_MODE_FILTER, FOR_ALL_THREADS = 1, 1  # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, AND_JUMP, EQUAL_JUMP, ABOVE_JUMP, MASK, RETURN = 0x20, 0x45, 0x15, 0x35, 0x54, 0x06  # classic BPF
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16  # in struct seccomp_data
X32_BIT = 0x40000000  # a second table of calls on x86-64, which must not be a way around the first
CLONE_THREAD = 0x00010000
AF_UNIX, SOCK_TYPE_MASK, SOCK_SEQPACKET = 1, 0xF, 5
ACTIONS = Path("/proc/sys/kernel/seccomp/actions_avail")

# Number on x86-64, number on arm64 (None = it has no such call).
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # the network and other processes' sockets
    "socketpair": (53, 199), "connect": (42, 203), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "msgget": (68, 186), "semget": (64, 190), "shmget": (29, 194), "shmat": (30, 196),
    "mq_open": (240, 180),
    # programs and processes
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "kcmp": (312, 272), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "migrate_pages": (256, 238),
    # keys of the kernel
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # what Landlock does not see: another view of the files, files by handle, owners, modes and times
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53),
    "fchmodat2": (452, 452), "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
    "file_setattr": (469, 469), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "mknod": (133, None), "mknodat": (259, 33),
    # the machine
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "iopl": (172, None), "ioperm": (173, None),
}  # fmt: skip


@dataclass(frozen=True)
class _Table:
    """One processor's numbers. `column` is its place in REFUSED."""

    audit: int
    column: int
    socket: int
    clone: int
    clone3: int
    kill: int
    tgkill: int
    prlimit: int


TABLES = {
    "x86_64": _Table(0xC000003E, 0, socket=41, clone=56, clone3=435, kill=62, tgkill=234, prlimit=302),
    "aarch64": _Table(0xC00000B7, 1, socket=198, clone=220, clone3=435, kill=129, tgkill=131, prlimit=261),
}
SECCOMP = {"x86_64": 317, "aarch64": 277}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def available() -> bool:
    """True if the kernel can do it and this processor's calls are known here."""
    try:
        return sys.platform == "linux" and platform.machine() in TABLES and "errno" in ACTIONS.read_text().split()
    except OSError:
        return False


def restrict_calls(*, local_sockets: bool) -> None:
    """Refuse this process, and all its threads, what is in REFUSED; processes of its own and signals to others too.

    `local_sockets`: sockets that only processes of this machine can call are allowed, still without calling anybody.
    A GPU's driver opens one. Needs `no_new_privileges`. Raises OSError.
    """
    code = b"".join(struct.pack("=HBBI", *line) for line in _filter(TABLES[platform.machine()], local_sockets))
    kept = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(kept, ctypes.c_void_p))
    call(SECCOMP[platform.machine()], SET_MODE_FILTER, FOR_ALL_THREADS, ctypes.byref(program))


_Line = tuple[int, int, int, int]


def _filter(table: _Table, local_sockets: bool) -> Iterator[_Line]:
    """The program: what to do, where to jump if it is so and if not, and a number."""
    yield LOAD, 0, 0, ARCHITECTURE_AT
    yield EQUAL_JUMP, 1, 0, table.audit
    yield RETURN, 0, 0, KILL_PROCESS
    yield LOAD, 0, 0, NUMBER_AT
    if table.column == 0:
        yield from ((ABOVE_JUMP, 0, 1, X32_BIT), _refuse(errno.ENOSYS))
    for numbers in REFUSED.values():
        if (number := numbers[table.column]) is not None:
            yield from ((EQUAL_JUMP, 0, 1, number), _refuse(errno.EPERM))
    # Its flags cannot be looked at, for they are in memory; libraries try `clone` then.
    yield from ((EQUAL_JUMP, 0, 1, table.clone3), _refuse(errno.ENOSYS))
    yield from _only_if(table.clone, [_argument(0), (AND_JUMP, 1, 0, CLONE_THREAD)])
    for number in (table.kill, table.tgkill):
        yield from _only_if(number, [_argument(0), (EQUAL_JUMP, 1, 0, os.getpid())])
    yield from _only_if(table.prlimit, [_argument(0), (EQUAL_JUMP, 2, 0, 0), (EQUAL_JUMP, 1, 0, os.getpid())])
    if local_sockets:
        kind = [_argument(1), (MASK, 0, 0, SOCK_TYPE_MASK), (EQUAL_JUMP, 1, 0, SOCK_SEQPACKET)]
        yield from _only_if(table.socket, [_argument(0), (EQUAL_JUMP, 0, len(kind), AF_UNIX), *kind])
    else:
        yield from ((EQUAL_JUMP, 0, 1, table.socket), _refuse(errno.EPERM))
    yield RETURN, 0, 0, ALLOW


def _only_if(number: int, test: Iterable[_Line]) -> Iterator[_Line]:
    """Refuse a call unless the test's last jump skips the refusal."""
    lines = [*test, _refuse(errno.EPERM), (RETURN, 0, 0, ALLOW)]
    yield EQUAL_JUMP, 0, len(lines), number
    yield from lines


def _argument(place: int) -> _Line:
    return LOAD, 0, 0, ARGUMENTS_AT + 8 * place  # its lower half, on a little-endian machine


def _refuse(code: int) -> _Line:
    return RETURN, 0, 0, ERRNO | code
