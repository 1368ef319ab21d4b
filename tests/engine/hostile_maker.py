"""A maker that tries to get out: what the code of a hostile model could do in the engine's child. Run by test_walls.

The prompt says, as JSON, what there is to reach; each picture's recipe says which attempts came through.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.core.picture import Picture
from app.engine.base import Outcome
from app.engine.loop import serve

libc = ctypes.CDLL(None, use_errno=True)
CALLS = {"io_uring_setup": 425, "pidfd_open": 434, "process_vm_readv": 310, "add_key": 248}  # x86-64


def call(name: str, *arguments: object) -> None:
    """A call of the kernel that Python has no function for; PermissionError if it is refused."""
    result = libc.syscall(CALLS[name], *arguments)
    if result < 0 and ctypes.get_errno() in (1, 13, 38):
        raise PermissionError(ctypes.get_errno(), "refused")


def ptrace_attach(pid: int) -> None:
    """Take hold of another process."""
    if libc.ptrace(16, pid, 0, 0) != 0:
        raise PermissionError(ctypes.get_errno(), "refused")
    os.waitpid(pid, 0x40000000)  # __WALL: only what has stopped can be let go, and else it would stay stopped for ever
    libc.ptrace(17, pid, 0, 0)


def connect(family: int, kind: int, address: object) -> None:
    """Reach a listener."""
    with socket.socket(family, kind) as end:
        end.settimeout(5)
        end.connect(address)
        end.send(b"stolen")


def fork() -> None:
    """A process of its own."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def read_through_link(scratch: Path, file: str) -> None:
    """A symbolic link in the one folder that can be written."""
    link = scratch / "link"
    link.symlink_to(file)
    link.read_bytes()


def in_a_thread(action: Callable[[], None]) -> None:
    """Walls that hold for one thread only would hold nothing."""
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            action()
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def attempts(there: dict[str, Any], scratch: Path) -> dict[str, Callable[[], object]]:
    """Each must fail."""
    parent, key, tcp = os.getppid(), there["key"], ("127.0.0.1", there["port"])
    return {
        "connect to a port of this machine": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, tcp),
        "connect from another thread": lambda: in_a_thread(lambda: connect(socket.AF_INET, socket.SOCK_STREAM, tcp)),
        "connect to a socket of this machine": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, there["socket"]),
        "connect as a GPU's driver may not": lambda: connect(socket.AF_UNIX, socket.SOCK_SEQPACKET, there["packets"]),
        "send a datagram": lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, tcp),
        "listen": lambda: socket.create_server(("127.0.0.1", 0)).close(),
        "read the database": lambda: Path(there["database"]).read_bytes(),
        "write the database": lambda: Path(there["database"]).open("ab").close(),
        "read a key": lambda: Path(key).read_bytes(),
        "read a key through a link": lambda: read_through_link(scratch, key),
        "read a key through a hard link": lambda: os.link(key, scratch / "hard"),
        "move a key": lambda: os.rename(key, scratch / "moved"),
        "open up a key": lambda: os.chmod(key, 0o666),
        "date a key": lambda: os.utime(key, (1, 1)),
        "delete a key": lambda: os.unlink(there["spare"]),
        "read the home folder": lambda: Path(there["home_file"]).read_bytes(),
        "list the home folder": lambda: os.listdir(there["home"]),
        "write into the home folder": lambda: Path(there["home"], "new").write_text("x"),
        "see a saved picture": lambda: Path(there["picture"]).read_bytes(),
        "write into the models": lambda: Path(there["models"], "evil.safetensors").write_bytes(b""),
        "change the code of the project": lambda: Path(there["code"]).open("ab").close(),
        "read what lies beside the code": lambda: Path(there["beside"]).read_bytes(),
        "write into the shared folder for temporary files": lambda: Path(there["tmp"]).write_text("x"),
        "read the parent's environment": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
        "read the parent's memory": lambda: Path(f"/proc/{parent}/mem").open("rb").close(),
        "reach the files through the parent": lambda: Path(f"/proc/{parent}/root{key}").read_bytes(),
        "trace the parent": lambda: ptrace_attach(parent),
        "signal the parent": lambda: os.kill(parent, signal.SIGCONT),
        "hold the parent": lambda: call("pidfd_open", parent, 0),
        "copy the parent's memory": lambda: call("process_vm_readv", parent, None, 0, None, 0, 0),
        "use a ring instead of calls": lambda: call("io_uring_setup", 1, ctypes.create_string_buffer(120)),
        "use the kernel's keys": lambda: call("add_key", b"user", b"x", b"x", 1, -3),
        "start a process": fork,
        "start a shell": lambda: subprocess.run(
            ["/bin/sh", "-c", f"cat {there['home_file']}"], check=True, capture_output=True
        ),
        "spawn a program": lambda: os.waitpid(os.posix_spawn("/bin/cat", ["cat", "/dev/null"], {}), 0),
    }


class HostileMaker:
    """Makes black pictures whose recipe says what came through."""

    name = "hostile"

    def make(self, work: Any, folder: Path, inputs: Any, report: Any) -> None:
        scratch = Path(os.environ["HOME"])
        there = json.loads(work[0].request.prompt)
        came_through, refused = [], {}
        for what, attempt in attempts(there, scratch).items():
            try:
                attempt()
                came_through.append(what)
            except OSError as error:
                refused[what] = str(error)
        (scratch / "own").write_text("its own folder")
        how = {
            "came_through": came_through,
            "refused": refused,
            "environment": dict(os.environ),
            "own": (scratch / "own").read_text(),
            "model": Path(there["model_file"]).read_text(),
            "at": time.time(),
        }
        request = work[0].request
        picture = Picture(
            0, request.seed, request.width, request.height, bytes(request.width * request.height * 3), how
        )
        report.picture(work[0].job_id, picture)
        report.ended(work[0].job_id, Outcome())

    def load(self, entry: Any, folder: Path, report: Any) -> None: ...

    def unload(self, key: str) -> bool:
        return False

    def loaded(self) -> tuple[str, ...]:
        return ()

    def memory(self) -> tuple[None, None]:
        return None, None


if __name__ == "__main__":
    serve(lambda _options: HostileMaker())
