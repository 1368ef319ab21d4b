"""What a file of `torch.save` holds, without torch and without running anything of it: names and shapes of tensors.

Its pickle is read with stand-ins for the few names that tensors are made of; any other name is refused.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import ModelRefused
from app.core.names import shown_name

MAX_PICKLE_BYTES = 2**20
MAX_SIDES = 8


@dataclass(frozen=True)
class Shape:
    """A tensor that was not read."""

    sides: tuple[int, ...]


def _tensor(_storage: Any, _offset: Any, size: Any, *_: Any) -> Shape:
    sides = tuple(size)
    if len(sides) > MAX_SIDES or not all(type(side) is int and 0 <= side < 2**40 for side in sides):
        raise pickle.UnpicklingError("a tensor has no shape")
    return Shape(sides)


def _parameter(data: Any, *_: Any) -> Any:
    return data


_KNOWN: Mapping[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("collections", "OrderedDict"): OrderedDict,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Only what tensors are made of; kinds of numbers are told by their names."""
        if module == "torch" and (name.endswith("Storage") or name in ("float16", "float32", "bfloat16")):
            return name
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """The numbers themselves stay in the file."""
        return None


def read_shapes(file: Path) -> dict[str, Any]:
    """The dictionary that was saved, with `Shape` for each tensor. Raises ModelRefused, and OSError; nothing else."""
    name = shown_name(file.name)
    try:
        with zipfile.ZipFile(file) as archive:
            [inside] = [item for item in archive.infolist() if item.filename.endswith("/data.pkl")]
            if inside.file_size > MAX_PICKLE_BYTES:
                raise ModelRefused(f"{name} has a table of more than {MAX_PICKLE_BYTES} bytes.")
            with archive.open(inside) as stream:
                table = stream.read(MAX_PICKLE_BYTES)
        found = _Reader(io.BytesIO(table)).load()
    except (ModelRefused, OSError):
        raise
    except Exception as error:  # noqa: BLE001  whatever is in the file: a pickle may raise anything
        raise ModelRefused(f"{name} is no file of torch.save that is read here ({type(error).__name__}).") from None
    if not isinstance(found, dict):
        raise ModelRefused(f"{name} holds no table of tensors.")
    return found
