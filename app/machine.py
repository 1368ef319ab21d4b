"""Facts about this machine, without torch."""

import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

MIB = 2**20
CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Gpu:
    """One GPU as its driver names it."""

    name: str
    memory_bytes: int


@dataclass(frozen=True)
class Machine:
    """What `doctor` says about a machine. Sizes are bytes."""

    system: str
    python: str
    processor: str
    cores: int
    fast_bf16: bool
    memory_bytes: int
    memory_free_bytes: int
    disk_free_bytes: int
    gpus: tuple[Gpu, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def look_at_machine(folder: Path) -> Machine:
    """This machine; the disk is the one that holds `folder`, which need not exist."""
    memory = psutil.virtual_memory()
    while not folder.exists():
        folder = folder.parent
    info = CPU_INFO.read_text(errors="replace") if CPU_INFO.exists() else ""
    return Machine(
        system=platform.platform(terse=True),
        python=platform.python_version(),
        processor=_field(info, "model name") or platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        fast_bf16=bool({"avx512_bf16", "amx_bf16"} & set(_field(info, "flags").split())),
        memory_bytes=memory.total,
        memory_free_bytes=memory.available,
        disk_free_bytes=shutil.disk_usage(folder).free,
        gpus=_nvidia_gpus(),
    )


def listener(port: int) -> str | None:
    """Who listens on a TCP port: `name (pid 123): command line`. None if nobody does."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows other people's only to root
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            return _process(connection.pid)
    return None


def _process(pid: int | None) -> str:
    if pid is None:
        return "a process of another user"
    try:
        process = psutil.Process(pid)
        return f"{process.name()} (pid {pid}): {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return f"pid {pid}"


def _field(info: str, name: str) -> str:
    for line in info.splitlines():
        if line.split(":", 1)[0].strip() == name:
            return line.split(":", 1)[1].strip()
    return ""


def _nvidia_gpus() -> tuple[Gpu, ...]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return ()
    rows = [line.rsplit(",", 1) for line in answer.splitlines() if "," in line]
    return tuple(Gpu(name.strip(), int(mib) * MIB) for name, mib in rows if mib.strip().isdigit())
