"""Components that several models have in common (the text encoders of SDXL's relatives, a VAE) are in memory once.

Two components are the same if their configuration, their number format and every byte of their weights are. Weights are
only compared where the files' headers already agree, so that loading an unlike model reads nothing twice.
"""

import hashlib
import json
import os
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from app.diffusion.checkpoints import CheckedFolder, weight_files
from app.diffusion.kinds import Pipeline
from app.diffusion.stamps import Stamp, file_stamp

# What config.json says about its own making, and not about the model.
_OF_NO_MATTER = ("_name_or_path", "_diffusers_version", "transformers_version", "torch_dtype", "dtype")
_HOOKS = ("_hf_hook", "_diffusers_hook")
_BLOB_NAME_LENGTH = 64
Outline = tuple[str, str, tuple[tuple[int, str], ...]]


class SharedParts:
    """The components of loaded models, by what is in their files. Keeps none of them alive. One thread."""

    def __init__(self) -> None:
        self._known: dict[Outline, list[tuple[tuple[Path, ...], weakref.ref[torch.nn.Module], list[Stamp]]]] = {}
        self._sums: dict[tuple[int, int, int, int], str] = {}

    def find(self, checked: CheckedFolder, variant: str | None, dtype: torch.dtype) -> dict[str, torch.nn.Module]:
        """The components of a folder that a loaded model already has, ready to be used, by name."""
        found = {}
        for part in checked.components:
            files = tuple(weight_files(checked.folder / part, variant))
            for known, reference, stamps in self._known.get(_outline(checked.folder / part, files, dtype), ()):
                module = reference()
                unchanged = stamps == [file_stamp(file) for file in known]  # since the module was made of them
                if module is not None and unchanged and _is_plain(module) and self._same(files, known):
                    found[part] = module
                    break
        return found

    def keep(self, checked: CheckedFolder, variant: str | None, dtype: torch.dtype, pipe: Pipeline) -> None:
        """Note the components of a pipeline that was just loaded from a folder."""
        for outline, modules in list(self._known.items()):
            self._known[outline] = [item for item in modules if item[1]() is not None]
            if not self._known[outline]:
                del self._known[outline]
        for part in checked.components:
            module = pipe.components.get(part)
            if isinstance(module, torch.nn.Module):
                files = tuple(weight_files(checked.folder / part, variant))
                modules = self._known.setdefault(_outline(checked.folder / part, files, dtype), [])
                if all(reference() is not module for _, reference, _ in modules):
                    modules.append((files, weakref.ref(module), [file_stamp(file) for file in files]))

    def _same(self, files: tuple[Path, ...], others: tuple[Path, ...]) -> bool:
        pairs = list(zip(files, others, strict=True))
        if all(one.samefile(other) for one, other in pairs):
            return True
        return all(self._sum(one) == self._sum(other) for one, other in pairs)

    def _sum(self, file: Path) -> str:
        """SHA-256 of a file. The hub's cache has it as the name of the file that the snapshot's link leads to."""
        real = Path(os.path.realpath(file))
        if real.parent.name == "blobs" and len(real.name) == _BLOB_NAME_LENGTH:
            return real.name
        status = real.stat()
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self._sums:
            with real.open("rb") as stream:
                self._sums[key] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self._sums[key]


def bytes_of(modules: Iterable[Any]) -> int:
    """Bytes of the weights of all modules; a tensor in several of them counts once."""
    tensors = {
        id(tensor): tensor
        for module in modules
        if isinstance(module, torch.nn.Module)
        for tensor in (*module.parameters(), *module.buffers())
    }
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _outline(folder: Path, files: tuple[Path, ...], dtype: torch.dtype) -> Outline:
    """What two components must have in common before a look at their weights is worth it."""
    config = json.loads((folder / "config.json").read_bytes()) if (folder / "config.json").is_file() else {}
    kept = {name: value for name, value in config.items() if name not in _OF_NO_MATTER}
    return (json.dumps(kept, sort_keys=True), str(dtype), tuple(_header(file) for file in files))


def _header(file: Path) -> tuple[int, str]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        return file.stat().st_size, hashlib.sha256(stream.read(length)).hexdigest()


def _is_plain(module: torch.nn.Module) -> bool:
    """True if nothing moves or casts its weights behind its back: that would be set up for one pipeline only."""
    return not any(hasattr(part, hook) for part in module.modules() for hook in _HOOKS)
