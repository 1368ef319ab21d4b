"""How a model is laid out in memory: what the machine's size switches on. The one place that knows the tiers."""

import gc
from dataclasses import dataclass

import torch

from app.core.settings import MachineSize
from app.diffusion.kinds import Pipeline
from app.diffusion.machine import memory

ACTIVATION_SHARE = 1.35  # peak over weights of the UNet pipelines at their default size and batch 1


@dataclass(frozen=True)
class MemoryPlan:
    """What is switched on for one model, and why, in words.

    `vae_slicing` decodes a batch image by image (no effect on pixels); `vae_tiling` decodes in tiles (saves memory
    on large pictures, can change pixels slightly); `offload` keeps only the running part on the GPU.
    """

    tier: MachineSize
    vae_slicing: bool = True
    vae_tiling: bool = False
    attention_slicing: bool = False
    offload: bool = False
    reason: str = ""

    def words(self) -> str:
        """The plan for the recipe: `big` or `little: model offload, VAE tiling`."""
        parts = [
            (self.offload, "model offload"),
            (self.vae_tiling, "VAE tiling"),
            (self.attention_slicing, "attention slicing"),
        ]
        switched_on = ", ".join(text for on, text in parts if on)
        return f"{self.tier.value}: {switched_on}" if switched_on else self.tier.value


def plan_for(device: torch.device, weight_bytes: int, size: MachineSize | None = None) -> MemoryPlan:
    """The plan for a model of so many bytes of weights. `size` overrides the measurement."""
    if device.type != "cuda":
        tier = size or MachineSize.BIG
        return MemoryPlan(tier, vae_tiling=tier == MachineSize.TINY, reason=f"{device.type}: weights stay in RAM")
    free, total = memory(device)
    tier = size or _measured_size(weight_bytes, total)
    reason = f"weights {weight_bytes / 2**30:.1f} GiB, device {total / 2**30:.1f} GiB, free {free / 2**30:.1f} GiB"
    return MemoryPlan(
        tier,
        vae_tiling=tier in (MachineSize.LITTLE, MachineSize.TINY),
        attention_slicing=tier == MachineSize.TINY,
        offload=tier in (MachineSize.LITTLE, MachineSize.TINY),
        reason=reason,
    )


def _measured_size(weight_bytes: int, total: int) -> MachineSize:
    need = weight_bytes * ACTIVATION_SHARE
    if need * 2 <= total:
        return MachineSize.BIG
    if need <= total:
        return MachineSize.MEDIUM
    return MachineSize.LITTLE if weight_bytes <= total else MachineSize.TINY


def apply_plan(pipe: Pipeline, plan: MemoryPlan, device: torch.device) -> None:
    """Put the pipeline where the plan says. Call once, after loading."""
    vae = getattr(pipe, "vae", None)
    if vae is not None and plan.vae_slicing and hasattr(vae, "enable_slicing"):
        vae.enable_slicing()
    if vae is not None and plan.vae_tiling and hasattr(vae, "enable_tiling"):
        vae.enable_tiling()
    if plan.attention_slicing:
        pipe.enable_attention_slicing()
    if plan.offload and device.type == "cuda":
        pipe.enable_model_cpu_offload(device=device)
    else:
        pipe.to(device)


def module_bytes(pipe: Pipeline) -> int:
    """Bytes of all parameters and buffers of a pipeline; a module used twice counts once."""
    modules = {id(part): part for part in pipe.components.values() if isinstance(part, torch.nn.Module)}
    tensors = {id(t): t for part in modules.values() for t in (*part.parameters(), *part.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def free_caches() -> None:
    """Give back what nobody refers to. Costs ~0.1 s: only after an unload or an out-of-memory."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """True if an exception says that RAM or GPU memory ran out, in any of torch's spellings."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        words in text
        for words in ("out of memory", "not enough memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC")
    )
