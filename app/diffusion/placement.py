"""Puts a loaded pipeline where a memory plan says, and tells what the machine has."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import diffusers
import psutil
import torch
from diffusers.hooks import apply_group_offloading

from app.core.errors import ModelRefused
from app.core.settings import Tier
from app.diffusion.kinds import Pipeline
from app.diffusion.machine import BF16_MIN_PARAMETERS, choose_dtype, memory
from app.diffusion.released import ReadAgain, ReleasedEncoders
from app.tiers.choose import Room
from app.tiers.model_parts import role_of
from app.tiers.plan import PACKAGES, REQUIREMENTS_FILE, Plan

STORAGE_8_BIT = torch.float8_e4m3fn


def room_of(device: torch.device) -> Room:
    """The memory of this machine as it is now; `device` is where pictures are made."""
    ram = psutil.virtual_memory()
    if device.type == "cuda":
        free, total = memory(device)
        return Room(ram.total, total, ram.available, free, fast_half=True)
    # Apple's GPUs share the RAM.
    fast_half = choose_dtype(device, BF16_MIN_PARAMETERS) is not torch.float32
    return Room(ram.total, None, ram.available, fast_half=fast_half)


def packages() -> frozenset[str]:
    """The optional packages for quantization that are installed."""
    return frozenset(name for name in PACKAGES.values() if find_spec(name) is not None)


def quantization(plan: Plan, library: Any = diffusers) -> Any | None:
    """How a plan has the denoiser's weights quantized while they are read: a config of the library that reads them
    (diffusers or transformers), or None for not at all.

    Raises ModelRefused if the package for it is not installed.
    """
    package = PACKAGES.get(plan.tier)
    if package is None:
        return None
    if package not in packages():
        raise ModelRefused(
            f"The memory tier {plan.tier} needs the package {package}, which is not installed.",
            hint=f"pip install -r {REQUIREMENTS_FILE}",
        )
    if plan.tier is Tier.INT4:
        kind = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.bfloat16}
        return library.BitsAndBytesConfig(load_in_4bit=True, **kind)
    # An optional package, imported only where it was asked for: it takes seconds.
    from torchao.quantization import Int8WeightOnlyConfig

    return library.TorchAoConfig(Int8WeightOnlyConfig())


def place(pipe: Pipeline, plan: Plan, device: torch.device, read_again: ReadAgain | None) -> ReleasedEncoders | None:
    """Put a pipeline whose parts are in RAM where the plan says. Call once, after loading.

    `read_again` reads one text encoder from its files; None where that cannot be done. Gives what brings the text
    encoders back for each prompt, if the plan releases them. Raises what torch raises when memory runs out.
    """
    vae = getattr(pipe, "vae", None)
    if vae is not None and hasattr(vae, "enable_slicing"):
        vae.enable_slicing()  # image by image: no effect on pixels
    if plan.vae_tiling:
        tile(pipe, True)
    modules = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    if device.type == "cpu":
        for part in modules.values():
            channels_last(part)
    encoders = {name: part for name, part in modules.items() if role_of(name) == "encoder"}
    if plan.tier in (Tier.FP8, Tier.FP8_OFFLOAD):
        _store_in_8_bit({name: part for name, part in modules.items() if role_of(name) == "denoiser"})
    if plan.tier is Tier.MODEL_OFFLOAD:
        if device.type != "cuda":
            raise ModelRefused(f"The memory tier {plan.tier} needs a GPU with memory of its own; this is {device}.")
        pipe.enable_model_cpu_offload(device=device)
    elif plan.tier in (Tier.GROUP_OFFLOAD, Tier.FP8_OFFLOAD):
        _stream(modules, plan, device)
    elif plan.releases_encoders and (device.type == "cuda" or read_again is not None):
        released = ReleasedEncoders(encoders, device, None if device.type == "cuda" else read_again)
        for name, part in modules.items():
            if name not in encoders:
                part.to(device)
        return released
    else:
        pipe.to(device)
    return None


def channels_last(module: torch.nn.Module) -> None:
    """Lay the weights of bfloat16 convolutions out as a processor reads them best. Nothing else of a module is changed.

    A Stable Diffusion UNet is up to a fifth faster so, and never slower; in float32 it would be. It is a fixed rule,
    so that a seed gives the same picture on every start: sums are rounded in another order.
    """
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d) and part.weight.dtype is torch.bfloat16:
            part.to(memory_format=torch.channels_last)


def tile(pipe: Pipeline, on: bool) -> bool:
    """Switch tiled decoding on or off. False if this pipeline's VAE cannot."""
    vae = getattr(pipe, "vae", None)
    if vae is None or not hasattr(vae, "enable_tiling"):
        return False
    if on:
        vae.enable_tiling()
    else:
        vae.disable_tiling()
    return True


def _store_in_8_bit(denoisers: Mapping[str, torch.nn.Module]) -> None:
    """Weights in fp8, each layer cast to the number format of the computation while it runs."""
    for name, denoiser in denoisers.items():
        enable: Callable[..., None] | None = getattr(denoiser, "enable_layerwise_casting", None)
        if enable is None:
            raise ModelRefused(f"{type(denoiser).__name__} ({name}) cannot be kept in fp8.")
        enable(storage_dtype=STORAGE_8_BIT, compute_dtype=_format_of(denoiser))


def _format_of(module: torch.nn.Module) -> torch.dtype:
    return next(tensor.dtype for tensor in module.parameters() if tensor.is_floating_point())


def _stream(modules: Mapping[str, torch.nn.Module], plan: Plan, device: torch.device) -> None:
    """Layers come to the device one by one. The VAE stays there: it is small, and may have to decode in float32."""
    streams = device.type == "cuda"
    for name, part in modules.items():
        if role_of(name) == "vae":
            part.to(device)
            continue
        apply_group_offloading(
            part,
            onload_device=device,
            offload_device=torch.device("cpu"),
            offload_type="leaf_level",
            non_blocking=streams,
            use_stream=streams,
            record_stream=streams,
            # Page-locks a group only while it is copied. Encoders run once a prompt: not worth their weight in RAM.
            low_cpu_mem_usage=streams and not (plan.pinned and role_of(name) == "denoiser"),
        )
