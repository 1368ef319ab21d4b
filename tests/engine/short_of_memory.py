"""A child of the engine whose memory runs out on demand: `python -m tests.engine.short_of_memory FILE OPTIONS FD`.

FILE holds JSON: how many calls of `denoise`, `decode` and `load` fail from now on, and with which `error`. The real
pipeline classes run; only the named calls raise what torch raises when an allocation fails.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.autoencoders.vae import Decoder

from app.engine.loop import serve
from app.engine.makers.pipelines import PipelineMaker

ERRORS = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "cpu": lambda: RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: 2147483648"),
    "python": MemoryError,
}


def failing(file: Path, what: str, own: Callable[..., Any]) -> Callable[..., Any]:
    """`own`, but the calls that the file tells of raise."""

    def call(*args: Any, **kwargs: Any) -> Any:
        told = json.loads(file.read_text())
        if told.get(what):
            file.write_text(json.dumps(told | {what: told[what] - 1}))
            raise ERRORS[told["error"]]()
        return own(*args, **kwargs)

    return call


if __name__ == "__main__":
    control = Path(sys.argv[1])
    UNet2DConditionModel.forward = failing(control, "denoise", UNet2DConditionModel.forward)
    Decoder.forward = failing(control, "decode", Decoder.forward)
    StableDiffusionPipeline.from_pretrained = failing(control, "load", StableDiffusionPipeline.from_pretrained)
    serve(PipelineMaker, sys.argv[2:])
