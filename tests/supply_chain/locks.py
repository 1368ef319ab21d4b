"""The lock files: every package of an environment with its version and the hashes of its files.

`requirements.lock` is for the page and the command line, `image_generation_service_requirements.lock` for the service
with torch for the processor, `requirements-cuda.lock` for the service with torch for NVIDIA cards and the libraries
that it brings along. They hold for Python 3.11 and 3.12 on every system, and name no place to fetch from: pip asks its
own index, and takes only files of these hashes.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PAGE, SERVICE, CUDA = "requirements.lock", "image_generation_service_requirements.lock", "requirements-cuda.lock"
SOURCES = {SERVICE: "image_generation_service_requirements.txt", PAGE: "requirements.txt"}
_CUDA_ONLY = re.compile(r"(nvidia|cuda)-|triton$")


@dataclass(frozen=True)
class Pin:
    """One package of a lock file."""

    name: str
    version: str
    marker: Marker | None
    hashes: tuple[str, ...]


def read_lock(name: str) -> list[Pin]:
    """The packages of a lock file, in its order. Raises ValueError for a line that is no pin with hashes."""
    text = (ROOT / name).read_text("utf-8")
    joined = re.sub(r"\\\n\s*", "", "".join(line for line in text.splitlines(keepends=True) if line[0] != "#"))
    return [_pin(line) for line in joined.splitlines()]


def _pin(line: str) -> Pin:
    wanted, *hashes = (part.strip() for part in line.split("--hash="))
    requirement = Requirement(wanted)
    [version] = [specifier.version for specifier in requirement.specifier if specifier.operator == "=="]
    if not hashes or not all(re.fullmatch("sha256:[0-9a-f]{64}", value) for value in hashes):
        raise ValueError(f"no hashes: {line[:80]}")
    return Pin(canonicalize_name(requirement.name), version, requirement.marker, tuple(hashes))


def wanted_by(file: str) -> list[Requirement]:
    """The packages that a requirement file names itself."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / file).read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def is_cuda_only(name: str) -> bool:
    """True for what only torch's build for NVIDIA cards needs."""
    return bool(_CUDA_ONLY.match(canonicalize_name(name)))
