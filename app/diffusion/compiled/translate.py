"""From a torch module to a file that OpenVINO reads. OpenVINO is an optional package (requirements-openvino.txt)."""

import hashlib
import json
import os
import uuid
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

LIBRARIES = ("openvino", "torch", "diffusers")


def kept_name(owner: str, part: str, module: torch.nn.Module, source: object) -> str:
    """The file name, without ending, of a part's translation: other weights, formats or versions have another one.

    `owner` is the model's key; `source` stands for the weights, such as the stamps of their files.
    """
    config = {name: repr(value) for name, value in sorted(dict(getattr(module, "config", {})).items())}
    known = [part, type(module).__name__, config, repr(source), str(next(module.parameters()).dtype)]
    known += [version(name) for name in LIBRARIES]
    digest = hashlib.sha256(json.dumps(known, default=repr).encode()).hexdigest()
    return f"{_prefix(owner, part)}{digest[:32]}"


def _prefix(owner: str, part: str) -> str:
    safe = "".join(sign if sign.isalnum() or sign in "-." else "_" for sign in owner)
    return f"{safe}--{part}--"


def translated(
    module: torch.nn.Module, example: Sequence[torch.Tensor], folder: Path, owner: str, part: str, name: str
) -> Path:
    """The file `name`.xml in `folder`, made if it is missing; earlier translations of the same part then go.

    `module` is called with `example`, tensors in its own format, and gives one tensor; the translation takes and gives
    float32 of any batch and size. Atomic: the .xml comes last. Raises OSError for a disk that does not take it, and
    what torch and OpenVINO raise for a module that they cannot follow.
    """
    file = folder / f"{name}.xml"
    if file.is_file():
        return file
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
    from openvino.preprocess import PrePostProcessor

    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the tracer: what depends on a size is checked by `Compiled`
        # Not `openvino.convert_model`, which reports its use to Intel.
        module.to(memory_format=torch.contiguous_format)  # weights in another order are read wrongly
        reader = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(module, example_input=tuple(example))  # the reader does not keep it
        model = reader.convert(reader.load(decoder))
    ends = PrePostProcessor(model)
    for index, tensor in enumerate(example):
        if tensor.is_floating_point():
            ends.input(index).tensor().set_element_type(openvino.Type.f32)
    ends.output(0).tensor().set_element_type(openvino.Type.f32)
    unfinished = folder / f"{uuid.uuid4().hex}.xml"
    try:
        openvino.save_model(ends.build(), unfinished, compress_to_fp16=False)
        os.replace(unfinished.with_suffix(".bin"), file.with_suffix(".bin"))
        os.replace(unfinished, file)
    except RuntimeError as error:
        raise OSError(f"{folder} did not take the translated model: {error}") from None
    finally:
        for left in (unfinished, unfinished.with_suffix(".bin")):
            left.unlink(missing_ok=True)
    for old in folder.glob(f"{_prefix(owner, part)}*"):
        if old.stem != name:
            old.unlink(missing_ok=True)
    return file


def read(file: Path, shapes: Sequence[Sequence[int]], *, half: bool, threads: int) -> Any:
    """The translation, made ready for inputs of just these shapes: an InferRequest. Seconds, and about the memory of
    the weights once more. `half`: computes in bfloat16."""
    import openvino

    core = openvino.Core()
    model = core.read_model(file)
    model.reshape({port: list(shape) for port, shape in zip(model.inputs, shapes, strict=True)})
    wanted = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        "INFERENCE_NUM_THREADS": threads,
    }
    return core.compile_model(model, "CPU", wanted).create_infer_request()
