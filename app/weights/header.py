"""Headers of safetensors files: 8 bytes length, JSON, tensors (https://github.com/huggingface/safetensors)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import ModelRefused

MAX_HEADER_BYTES = 100 * 2**20  # the format's own limit
_DTYPE_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """Tensor name → shape, the number of all their elements, and the free text that the file's maker left."""

    shapes: Mapping[str, tuple[int, ...]]
    parameters: int
    metadata: Mapping[str, Any]


def read_header(file: Path) -> Header:
    """The header of a safetensors file, checked against the file's size. The tensors are not read.

    Raises ModelRefused for a pickle under that name, a cut file, or offsets that do not fit.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise ModelRefused(f"{file.name} is not a safetensors file, or it is cut off ({size} bytes).")
        try:
            table = json.loads(stream.read(length))
        except (ValueError, RecursionError) as error:
            raise ModelRefused(f"{file.name} is not a safetensors file: its header is not JSON.") from error
    if not isinstance(table, dict):
        raise ModelRefused(f"{file.name} is not a safetensors file: its header is not a table.")
    metadata = table.pop("__metadata__", None)
    end = parameters = 0
    shapes = {}
    for tensor, entry in table.items():
        stop, shape, count = _extent(file, tensor, entry)
        shapes[tensor] = shape
        end, parameters = max(end, stop), parameters + count
    if end + length + 8 != size:
        raise ModelRefused(f"{file.name} is damaged: it has {size} bytes and its header tells of {end + length + 8}.")
    return Header(shapes, parameters, metadata if isinstance(metadata, dict) else {})


def _extent(file: Path, tensor: str, entry: Any) -> tuple[int, tuple[int, ...], int]:
    """Where a tensor ends, its shape, and how many elements that is."""
    try:
        start, stop = entry["data_offsets"]
        shape = tuple(entry["shape"])
        count = 1
        for side in shape:
            count *= side
        bytes_each = _DTYPE_BYTES.get(entry["dtype"])
        fits = 0 <= start <= stop and (bytes_each is None or stop - start == count * bytes_each)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelRefused(f"{file.name} is damaged: tensor {tensor!r} is not described.") from error
    if not fits or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise ModelRefused(f"{file.name} is damaged: tensor {tensor!r} does not fit its place.")
    return stop, shape, count
