"""Bytes of a pipeline, giving memory back, and how torch says that there is none left."""

import gc

import torch

from app.diffusion.kinds import Pipeline


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
        for words in (
            "out of memory",
            "not enough memory",
            "can't allocate memory",
            "Cannot allocate memory",
            "CUBLAS_STATUS_ALLOC",
        )
    )
