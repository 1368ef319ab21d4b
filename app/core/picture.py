"""A finished picture before it is a file: what the diffusion room makes, an engine hands on and the library saves."""

from dataclasses import dataclass, field
from typing import Any

# Endings of files, and the format that each means. AVIF is there where Pillow can write it.
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".avif": "avif"}


@dataclass(frozen=True)
class Picture:
    """One finished picture: raw pixels and how they were made.

    `rgb` is `width * height * 3` bytes, 8 bit sRGB, row by row from the top left. `how` is JSON-able: model,
    revision, scheduler, device, dtype, batch_size, versions, seconds, notes.
    """

    index: int
    seed: int
    width: int
    height: int
    rgb: bytes
    how: dict[str, Any] = field(default_factory=dict)
