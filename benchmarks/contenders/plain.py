"""The pipeline as the diffusers documentation runs it: in float32, and tuned."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline

from app.diffusion.compiled.parts import parts_for
from app.diffusion.compiled.replace import replace
from app.diffusion.compiled.translate import kept_name, translated
from app.diffusion.placement import channels_last
from benchmarks.contenders.names import FLOAT32, OPENVINO, TUNED

PROMPT = "a lighthouse in a storm, oil painting"
GUIDANCE = 5.0


def pipeline(name: str, folder: Path, work: Path) -> Any:
    """The pipeline of a folder, loaded as this contender has it."""
    dtype = torch.float32 if name == FLOAT32 else torch.bfloat16
    pipe = DiffusionPipeline.from_pretrained(folder, local_files_only=True, dtype=dtype)
    pipe.set_progress_bar_config(disable=True)
    if name == TUNED:
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                channels_last(part)
    if name == OPENVINO:
        for part in parts_for(pipe):
            kept = kept_name("plain", part.name, part.module, str(folder))
            file = translated(part.traced, part.example, work / "compiled", "plain", part.name, kept)
            replace(part.module, file, part.arrange, part.answer)
            channels_last(part.module)
    return pipe


def arguments(size: int, steps: int) -> dict[str, Any]:
    """The picture that every contender makes."""
    generator = torch.Generator("cpu").manual_seed(42)
    return {
        "prompt": PROMPT,
        "num_inference_steps": steps,
        "guidance_scale": GUIDANCE,
        "width": size,
        "height": size,
        "generator": generator,
    }


def plain(name: str, folder: Path, work: Path, size: int, steps: int) -> Callable[[], object]:
    """Draws one picture with plain diffusers, and keeps it in memory."""
    pipe = pipeline(name, folder, work)
    return lambda: pipe(**arguments(size, steps))
