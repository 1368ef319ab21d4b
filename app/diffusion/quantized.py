"""A pipeline whose transformer is a file of its own: GGUF (quantized), or safetensors in the original layout.

The other components, and the transformer's configuration, come from the folder of a base model.
"""

import importlib.util
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import GGUFQuantizationConfig
from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

from app.core.errors import ModelRefused
from app.diffusion.checkpoints import CheckedFolder, read_index, weight_files
from app.weights.header import read_header

TRANSFORMER = "transformer"
GGUF, SAFETENSORS = ".gguf", ".safetensors"
GGUF_PACKAGE = "gguf==0.19.0"
GGUF_VERSIONS = (2, 3)
MAX_TENSORS = 100_000  # of a file that is no attack


def with_transformer(base: CheckedFolder, file: Path, variant: str | None) -> CheckedFolder:
    """The base with `file` in place of its transformer. Only headers are read. Raises ModelRefused."""
    if not file.is_file():
        raise ModelRefused(f"The transformer should be in {file}, but there is nothing.")
    name = _transformer_class(base).__name__
    if name not in SINGLE_FILE_LOADABLE_CLASSES:
        raise ModelRefused(f"{base.name} has a {name}; diffusers loads none from a single file.")
    if file.suffix.lower() == GGUF:
        _check_gguf(file)
        parameters = 0
    elif file.suffix.lower() == SAFETENSORS:
        parameters = read_header(file).parameters
    else:
        raise ModelRefused(f"{file.name} is neither a .gguf nor a .safetensors file; no other kind is opened.")
    own = weight_files(base.folder / TRANSFORMER, variant) if TRANSFORMER in base.components else []
    size = base.weight_bytes - sum(part.stat().st_size for part in own) + file.stat().st_size
    parameters += base.parameters - sum(read_header(part).parameters for part in own)
    components = tuple(part for part in base.components if part != TRANSFORMER)
    return replace(base, components=components, weight_bytes=size, parameters=parameters, transformer=file)


def read_transformer(checked: CheckedFolder, file: Path, dtype: torch.dtype) -> torch.nn.Module:
    """The transformer on the CPU; a quantized one keeps its weights as they are and computes in `dtype`.

    Raises what diffusers and gguf raise for files that are damaged or of another model.
    """
    options: dict[str, Any] = {}
    if file.suffix.lower() == GGUF:
        options["quantization_config"] = GGUFQuantizationConfig(compute_dtype=dtype)
    module: torch.nn.Module = _transformer_class(checked).from_single_file(
        str(file), config=str(checked.folder), subfolder=TRANSFORMER, local_files_only=True, dtype=dtype, **options
    )
    if any(tensor.is_meta for tensor in module.parameters()):
        raise ModelRefused(f"{file.name} is not complete: it lacks tensors that {checked.name}'s configuration names.")
    return module


def _transformer_class(checked: CheckedFolder) -> Any:
    value = read_index(checked.folder).get(TRANSFORMER)
    if not isinstance(value, list) or value[0] != "diffusers":
        raise ModelRefused(f"{checked.name} has no transformer of diffusers that a file could stand in for.")
    return getattr(diffusers, value[1])


def _check_gguf(file: Path) -> None:
    """The first bytes of the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md."""
    if importlib.util.find_spec("gguf") is None:
        raise ModelRefused(
            f"{file.name} is a GGUF file, which needs one more package.", hint=f"pip install {GGUF_PACKAGE}"
        )
    with file.open("rb") as stream:
        start = stream.read(24)
    if len(start) < 24 or start[:4] != b"GGUF":
        raise ModelRefused(f"{file.name} is not a GGUF file, or it is cut off.")
    version, tensors, _ = struct.unpack("<IQQ", start[4:])
    if version not in GGUF_VERSIONS:
        raise ModelRefused(
            f"{file.name} is of GGUF version {version}; known are {GGUF_VERSIONS[0]} and {GGUF_VERSIONS[1]}."
        )
    if not 0 < tensors <= MAX_TENSORS:
        raise ModelRefused(f"{file.name} is damaged: it tells of {tensors} tensors.")
