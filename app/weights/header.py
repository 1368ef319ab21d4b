"""Headers of safetensors files: 8 bytes length, JSON, tensors (https://github.com/huggingface/safetensors)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import ModelRefused
from app.core.names import shown_name

# Whoever may put a file into the models folder must not be able to make reading it dear. The largest models that are
# published have headers of half a megabyte; a trainer's notes in a LoRA may have several.
MAX_HEADER_BYTES = 8 * 2**20
MAX_TENSORS = 100_000
MAX_SIDES = 8
MAX_NUMBER = 2**40  # of a side and of an element count
MAX_NOTES_CHARS = 2**20  # of the free text that is kept
_DTYPE_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """Tensor name → shape, the number of all their elements, and the free text that the file's maker left."""

    shapes: Mapping[str, tuple[int, ...]]
    parameters: int
    metadata: Mapping[str, str]


def read_header(file: Path) -> Header:
    """The header of a safetensors file, checked against the file's size. The tensors are not read.

    Raises ModelRefused for a pickle under that name, a cut file, offsets that do not fit, and numbers or amounts that
    no model has; OSError. Nothing else, whatever the bytes are.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or not 2 <= length <= size - 8:
            raise ModelRefused(f"{_name(file)} is not a safetensors file, or it is cut off ({size} bytes).")
        if length > MAX_HEADER_BYTES:
            raise ModelRefused(f"{_name(file)} has a header of {length} bytes; at most {MAX_HEADER_BYTES} are read.")
        text = stream.read(length)
    if text.count(b"[") > 2 * MAX_TENSORS + 1000 or text.count(b"{") > MAX_TENSORS + 1000:
        raise ModelRefused(f"{_name(file)} has more than {MAX_TENSORS} tensors; no model has.")
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"{_name(file)} is not a safetensors file: its header is not JSON.") from error
    if not isinstance(table, dict):
        raise ModelRefused(f"{_name(file)} is not a safetensors file: its header is not a table.")
    metadata = table.pop("__metadata__", None)
    end = parameters = 0
    shapes = {}
    for tensor, entry in table.items():
        stop, shape, count = _extent(file, tensor, entry)
        shapes[tensor] = shape
        end, parameters = max(end, stop), parameters + count
    if end + length + 8 != size:
        raise ModelRefused(f"{_name(file)} is damaged: it has {size} bytes and its header tells of {end + length + 8}.")
    return Header(shapes, parameters, _notes(metadata))


def _extent(file: Path, tensor: str, entry: Any) -> tuple[int, tuple[int, ...], int]:
    """Where a tensor ends, its shape, and how many elements that is."""
    told = entry if isinstance(entry, dict) else {}
    offsets, shape = _numbers(told.get("data_offsets")), _numbers(told.get("shape"))
    kind = told.get("dtype")
    if offsets is None or len(offsets) != 2 or shape is None or not isinstance(kind, str):
        raise ModelRefused(f"{_name(file)} is damaged: tensor {_shown(tensor)} is not described.")
    count = 1
    for side in shape:
        count *= side
    start, stop = offsets
    bytes_each = _DTYPE_BYTES.get(kind)
    if start > stop or count > MAX_NUMBER or (bytes_each is not None and stop - start != count * bytes_each):
        raise ModelRefused(f"{_name(file)} is damaged: tensor {_shown(tensor)} does not fit its place.")
    return stop, shape, count


def _numbers(value: Any) -> tuple[int, ...] | None:
    """A short list of whole numbers that a file can hold, else None. JSON's `true` is none, nor is 1.0."""
    if not isinstance(value, list) or len(value) > MAX_SIDES:
        return None
    return tuple(value) if all(type(number) is int and 0 <= number <= MAX_NUMBER for number in value) else None


def _notes(metadata: Any) -> dict[str, str]:
    """The trainer's notes: texts by name, as the format has them, up to a million characters in all."""
    kept: dict[str, str] = {}
    left = MAX_NOTES_CHARS
    for name, text in metadata.items() if isinstance(metadata, dict) else ():
        if isinstance(text, str) and (left := left - len(name) - len(text)) >= 0:
            kept[name] = text
    return kept


def _name(file: Path) -> str:
    return shown_name(file.name)


def _shown(tensor: str) -> str:
    return repr(tensor if len(tensor) <= 100 else tensor[:97] + "...")
