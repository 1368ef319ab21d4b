"""Which device and number format this machine's pictures are made with."""

import platform
import time
from functools import cache
from pathlib import Path

import psutil
import torch

from app.tiers.compute import LARGE

BF16_CPU_FLAGS = ("avx512_bf16", "amx_bf16")
# Below this many parameters a model stays fp32 on a CPU: it is fast anyway, and fp32 gives the same pixels on
# every machine. A fixed rule, so that the same seed gives the same picture after a restart.
BF16_MIN_PARAMETERS = LARGE
BF16_MIN_GAIN = 1.3


def choose_device(wanted: str | None = None) -> torch.device:
    """The device asked for, else the best one: cuda, then mps, then cpu.

    Raises ValueError if the device asked for is not there.
    """
    if wanted:
        try:
            device = torch.device(wanted)
        except RuntimeError:
            raise ValueError(f"device {wanted!r} is not known; allowed is cpu, cuda:0, cuda:1 …, mps") from None
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise ValueError(
                f"device {wanted!r} is not in this machine; it has {torch.cuda.device_count()} CUDA devices"
            )
        return device
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def choose_dtype(device: torch.device, parameters: int, *, half: torch.dtype = torch.bfloat16) -> torch.dtype:
    """The number format for a model of so many parameters.

    cuda: `half` (bfloat16 only where the card has it, else float16). mps: float16. cpu: bfloat16 for big models on
    a CPU that computes it natively and measurably faster, else float32.
    """
    if device.type == "cuda":
        return half if half != torch.bfloat16 or torch.cuda.is_bf16_supported(False) else torch.float16
    if device.type == "mps":
        return torch.float16
    if parameters >= BF16_MIN_PARAMETERS and cpu_has_bf16() and bf16_gain() >= BF16_MIN_GAIN:
        return torch.bfloat16
    return torch.float32


@cache
def cpu_has_bf16() -> bool:
    """True if the CPU multiplies bfloat16 in hardware (AVX512_BF16 or AMX). Linux only; False elsewhere."""
    info = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not info.is_file():
        return False
    flags = next((line for line in info.read_text().splitlines() if line.startswith("flags")), "")
    return any(flag in flags.split() for flag in BF16_CPU_FLAGS)


@cache
def bf16_gain() -> float:
    """How many times faster a bfloat16 matrix product is than float32 here. Measured once a process, about 0.1 s."""

    def best(dtype: torch.dtype) -> float:
        a = torch.ones(768, 768, dtype=dtype)
        times = []
        for _ in range(7):
            start = time.perf_counter()
            torch.mm(a, a)
            times.append(time.perf_counter() - start)
        return min(times)

    return best(torch.float32) / best(torch.bfloat16)


def memory(device: torch.device) -> tuple[int, int]:
    """(free, total) bytes of the device's memory; of the machine's RAM for cpu and mps."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return free, total
    ram = psutil.virtual_memory()
    return ram.available, ram.total


def dtype_name(dtype: torch.dtype) -> str:
    """`float32`, `bfloat16`, `float16`."""
    return str(dtype).removeprefix("torch.")
