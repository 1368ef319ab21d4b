"""Which devices this machine has, asked without importing torch, and one engine for each."""

import importlib.metadata
import logging
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.catalog import Catalog
from app.core.settings import Settings, wrong_setting
from app.engine.local import LocalEngine

NVIDIA_SMI = ("nvidia-smi", "-L")
NVIDIA_SMI_S = 10.0
UNSEEN = ("xpu",)  # devices that torch may know and that nothing here can look for

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """One device: its name for people, what torch calls it inside its child, and the child's extra environment."""

    name: str
    torch_device: str
    environment: Mapping[str, str] = field(default_factory=dict)


def build_engines(settings: Settings, catalog: Catalog) -> list[LocalEngine]:
    """One engine for each device of this machine (or the one that `settings.device` names). Starts nothing."""
    return [
        LocalEngine(
            device.name,
            settings=settings,
            catalog=catalog,
            torch_device=device.torch_device,
            environment=device.environment,
        )
        for device in find_devices(settings)
    ]


def check_device(settings: Settings) -> None:
    """Raise WrongSettings, naming the devices there are, if `settings.device` is none of this machine's."""
    wanted = settings.device
    if settings.engine in ("test", "ray") or wanted is None or wanted in ("cpu", *UNSEEN):
        return
    if wanted.startswith("cuda") and "+rocm" in _torch_version():  # AMD's are called so too, and nvidia-smi knows none
        return
    here = [f"cuda:{number}" for number, _ in enumerate(cuda_names(_list_gpus(), os.environ))]
    known = [*here, *([mps.name] if (mps := _mps()) else []), "cpu"]
    if wanted not in (*known, *(["cuda"] if here else [])):
        raise wrong_setting(settings, "device", f"this machine has {', '.join(known)}")


def find_devices(settings: Settings) -> list[Device]:
    """CUDA devices if torch can use them, else Apple's GPU, else the CPU; never empty."""
    if settings.engine == "test" or settings.device == "cpu":
        return [Device("cpu", "cpu")]
    wanted = settings.device
    found = [_cuda(number, visible) for number, visible in enumerate(cuda_names(_list_gpus(), os.environ))]
    if wanted is None:
        return found or [_mps() or Device("cpu", "cpu")]
    named = {device.name: device for device in found} | ({"cuda": found[0]} if found else {})
    return [named.get(wanted, Device(wanted, wanted))]


def cuda_names(listing: str, environment: Mapping[str, str]) -> list[str]:
    """What CUDA_VISIBLE_DEVICES must be set to for each device, from the output of `nvidia-smi -L`.

    Honours a CUDA_VISIBLE_DEVICES that is set already, as CUDA does: the list ends at the first unknown name.
    A GPU that is cut into MIG slices counts as its slices.
    """
    gpus: list[tuple[str, list[str]]] = []
    for line in listing.splitlines():
        if match := re.match(r"GPU \d+: .*\(UUID: (GPU-[^)]+)\)", line):
            gpus.append((match[1], []))
        elif gpus and (match := re.match(r"\s+MIG .*\(UUID: (MIG-[^)]+)\)", line)):
            gpus[-1][1].append(match[1])
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return [name for number, (_, slices) in enumerate(gpus) for name in slices or [str(number)]]
    known = [uuid for uuid, slices in gpus] + [name for _, slices in gpus for name in slices]
    names = []
    for name in (part.strip() for part in chosen.split(",")):
        by_number = name.isdecimal() and int(name) < len(gpus)
        if not by_number and not (name and any(uuid.startswith(name) for uuid in known)):
            break
        names.append(name)
    return names


def _list_gpus() -> str:
    """The output of `nvidia-smi -L`; empty without a driver, or with a torch that cannot use CUDA."""
    try:
        if "+cpu" in _torch_version():
            return ""
        answer = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, timeout=NVIDIA_SMI_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.debug("no CUDA devices: %s", error)
        return ""
    return answer.stdout if answer.returncode == 0 else ""


def _torch_version() -> str:
    """`2.13.0+cpu`; "+cpu" if there is none, for then no GPU can be used."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "+cpu"


def _cuda(number: int, visible: str) -> Device:
    # Each child sees one device only, so inside it is always number 0.
    return Device(f"cuda:{number}", "cuda:0", {"CUDA_VISIBLE_DEVICES": visible, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"})


def _mps() -> Device | None:
    return Device("mps", "mps") if sys.platform == "darwin" and platform.machine() == "arm64" else None
