"""What memory tiers cost on a GPU: `python -m benchmarks.gpu [--models sd15 sdxl qwen-image] [--tiers …] [--steps 10]`.

For each model: the plain diffusers call, then our code in each tier, in one run: seconds for a picture (the second
one: the first warms up) and the peak of GPU memory. Weights are random, of the real sizes and the real classes, so
nothing is downloaded; they are saved to `--folder` first (SD 1.5 2 GB, SDXL 7 GB, Qwen-Image 58 GB).

This has not been run on a GPU yet: no figures of it are published. `--tiny` runs it with tiny models, on a CPU too, as
a check of the script itself; there the peak is the memory of the whole process and says nothing.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import psutil
import torch
import transformers

from app.catalog import folder_entry
from app.core.errors import AtelierError
from app.core.schema import GenerationRequest
from app.core.settings import Tier
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from app.diffusion.guidance import guidance_of
from app.diffusion.machine import choose_device, choose_dtype
from app.diffusion.memory import free_caches, is_out_of_memory
from app.diffusion.single_file import LAYOUTS, PADDING, clip_tokenizer
from app.weights.kinds import Layout
from tests import families
from tests.tokenizers import qwen_tokenizer

TEXT = {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
        "intermediate_size": 18944, "vocab_size": 152064}  # fmt: skip
VISION = {"depth": 32, "hidden_size": 1280, "out_hidden_size": 3584, "intermediate_size": 3420}
SIDES = {"sd15": 512, "sdxl": 1024, "qwen-image": 1024}
NOT_RUN = "No figures of this script on a GPU are published yet."


@dataclass(frozen=True)
class Line:
    """One measurement; `error` if there is none."""

    model: str
    how: str
    seconds: float = 0.0
    peak_bytes: int = 0
    error: str = ""

    def words(self) -> str:
        """The line of the table."""
        result = self.error or f"{self.seconds:9.2f} s  {self.peak_bytes / 1e9:8.2f} GB"
        return f"{self.model:12} {self.how:18} {result}"


def random_part(make: Callable[[], Any]) -> Any:
    """A module of the size that `make` says, in bfloat16 with small random weights."""
    with torch.device("meta"):
        module = make().to(torch.bfloat16)
    module = module.to_empty(device="cpu")
    for parameter in module.parameters():
        parameter.data.normal_(0, 0.02)
    return module.requires_grad_(False)


def _of_config(cls: Any, folder: Path) -> Any:
    return cls.from_config(cls.load_config(folder))


def _of_class(cls: Any, folder: Path) -> Any:
    return cls(cls.config_class.from_pretrained(folder))


def from_layout(layout: Layout) -> Any:
    """A pipeline of a family of Stable Diffusion, in its real size."""
    folder = LAYOUTS / layout.value
    index = json.loads((folder / "model_index.json").read_bytes())
    parts: dict[str, Any] = {name: clip_tokenizer(pad) for name, pad in PADDING[layout].items()}
    for name, value in index.items():
        if not isinstance(value, list) or name in parts or not (folder / name).is_dir():
            continue
        cls = getattr(diffusers if value[0] == "diffusers" else transformers, value[1])
        if name == "scheduler":
            parts[name] = cls.from_pretrained(folder / name)
        elif value[0] == "diffusers":
            parts[name] = random_part(partial(_of_config, cls, folder / name))
        else:
            parts[name] = random_part(partial(_of_class, cls, folder / name))
    if layout is Layout.SD1:
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return getattr(diffusers, index["_class_name"])(**parts)


def qwen_image() -> Any:
    """Qwen-Image in its real size, which is what diffusers' classes have as their defaults."""
    config = transformers.Qwen2_5_VLConfig(text_config=TEXT, vision_config=VISION)
    return diffusers.QwenImagePipeline(
        transformer=random_part(diffusers.QwenImageTransformer2DModel),
        vae=random_part(diffusers.AutoencoderKLQwenImage),
        text_encoder=random_part(lambda: transformers.Qwen2_5_VLForConditionalGeneration(config)),
        tokenizer=qwen_tokenizer(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    )


def saved(model: str, folder: Path, tiny: bool) -> Path:
    """The model's folder; made if it is not there."""
    target = folder / (f"tiny-{model}" if tiny else model)
    if (target / "model_index.json").is_file():
        return target
    if tiny:
        return families.save(model, target)
    layouts = {"sd15": Layout.SD1, "sdxl": Layout.SDXL}
    pipe = from_layout(layouts[model]) if model in layouts else qwen_image()
    pipe.save_pretrained(target, safe_serialization=True)
    return target


def measured(model: str, how: str, device: torch.device, draw: Callable[[], object]) -> Line:
    """Seconds and peak of the second of two pictures."""
    try:
        draw()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        started = time.perf_counter()
        draw()
        seconds = time.perf_counter() - started
    except (AtelierError, RuntimeError) as error:
        if not isinstance(error, AtelierError) and not is_out_of_memory(error):
            raise
        return Line(model, how, error=f"{type(error).__name__}: {str(error)[:90]}")
    cuda = device.type == "cuda"
    peak = torch.cuda.max_memory_reserved(device) if cuda else psutil.Process().memory_info().rss
    return Line(model, how, seconds, peak)


def plain(model: str, folder: Path, device: torch.device, steps: int, side: int) -> Line:
    """diffusers by itself: everything on the device."""
    dtype = choose_dtype(device, 10**9)
    state: dict[str, Any] = {}

    def draw() -> None:
        if not state:
            state["pipe"] = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=dtype).to(device)
            state["pipe"].set_progress_bar_config(disable=True)
        pipe = state["pipe"]
        guidance = {guidance_of(pipe).parameter: 4.0, "negative_prompt": " "}
        generator = torch.Generator("cpu").manual_seed(7)
        pipe("a red apple", num_inference_steps=steps, width=side, height=side, generator=generator, **guidance)

    line = measured(model, "plain diffusers", device, draw)
    state.clear()
    free_caches()
    return line


def ours(model: str, folder: Path, device: torch.device, tier: Tier, steps: int, side: int) -> Line:
    """The same picture in one tier."""
    cache = ModelCache(device, tier=tier)
    request = GenerationRequest(
        prompt="a red apple", negative_prompt=" ", model=model, num_inference_steps=steps, guidance_scale=4.0,
        width=side, height=side, seed=7, scheduler="default",
    )  # fmt: skip
    line = measured(model, tier.value, device, lambda: generate(cache.load(folder_entry(folder), Path("/")), request))
    cache.clear()
    return line


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--tiers", nargs="+", type=Tier, default=list(Tier), metavar="TIER")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device")
    parser.add_argument("--folder", type=Path, help="Where the random models are kept; a temporary one if absent.")
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args(arguments)
    device = choose_device(given.device)
    if device.type != "cuda" and not given.tiny:
        parser.error("this measures a GPU, and there is none here; --tiny checks the script on a CPU")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU: a check of the script, no measurement"
    print(f"{time.strftime('%Y-%m-%d')}, {name}, torch {torch.__version__}, {given.steps} steps. {NOT_RUN}")
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    lines = []
    with tempfile.TemporaryDirectory() as temporary:
        for model in given.models:
            folder = saved(model, given.folder or Path(temporary), given.tiny)
            side = 64 if given.tiny else SIDES[model]
            lines.append(plain(model, folder, device, given.steps, side))
            print(lines[-1].words(), flush=True)
            for tier in given.tiers:
                lines.append(ours(model, folder, device, tier, given.steps, side))
                print(lines[-1].words(), flush=True)
    return lines


if __name__ == "__main__":
    main()
