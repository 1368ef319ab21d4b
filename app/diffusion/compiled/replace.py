"""Puts OpenVINO in the place of a module's forward pass, and steps back to torch for whatever it was not made for."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from app.diffusion.compiled.translate import read
from app.diffusion.memory import is_out_of_memory
from app.tiers.compute import COPIES

MOST_SHAPES = COPIES  # that are ready at once: each holds the weights once more
# Deviation from torch's answer, as a share of that, above which a translation is not believed: 40 dB in float32. Two
# computations in bfloat16, each of which is off by 2 to 3 %, cannot agree so well; see decision 16.
MOST_APART = {torch.float32: 0.01, torch.bfloat16: 0.1}

logger = logging.getLogger(__name__)

Inputs = tuple[torch.Tensor, ...]
# From a call's arguments to the inputs of the translation, or None for a call that it was not made for.
Arrange = Callable[..., Inputs | None]


class Compiled:
    """Stands in for `module.forward`. One thread.

    The first call of each shape is computed by torch, too: a translation that says something else, or fails, is given
    up, and `given_up` says why. Calls with a LoRA, a control or another number format are torch's.
    """

    def __init__(self, module: torch.nn.Module, file: Path, arrange: Arrange, answer: Callable[..., Any]) -> None:
        self._module, self._own = module, module.forward
        self._file, self._arrange, self._answer = file, arrange, answer
        self._dtype = next(module.parameters()).dtype
        self._ready: OrderedDict[tuple[tuple[int, ...], ...], Any] = OrderedDict()
        self.given_up = ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module's own forward gives."""
        inputs = None if self.given_up or self._changed() else self._arrange(*args, **kwargs)
        if inputs is None:
            return self._own(*args, **kwargs)
        try:
            return self._computed(inputs, args, kwargs)
        except RuntimeError as error:  # all that OpenVINO raises
            if is_out_of_memory(error):
                raise
            return self._back(f"{type(error).__name__}: {error}", self._own(*args, **kwargs))

    def _computed(self, inputs: Inputs, args: Any, kwargs: Any) -> Any:
        shapes = tuple(tuple(tensor.shape) for tensor in inputs)
        request = self._ready.get(shapes)
        is_new = request is None
        made = self._infer(self._get_ready(shapes) if is_new else request, inputs)
        if is_new:
            usual = self._own(*args, **kwargs)
            apart = _apart(made, usual)
            if not apart <= MOST_APART.get(self._dtype, 0.0):
                return self._back(f"its answer was {apart:.1%} away from torch's", usual)
        self._ready.move_to_end(shapes)
        return self._answer(made.to(self._dtype), **kwargs)

    def _get_ready(self, shapes: tuple[tuple[int, ...], ...]) -> Any:
        while len(self._ready) >= MOST_SHAPES:
            self._ready.popitem(last=False)
        half = self._dtype is torch.bfloat16
        self._ready[shapes] = read(self._file, shapes, half=half, threads=torch.get_num_threads())
        return self._ready[shapes]

    def _infer(self, request: Any, inputs: Inputs) -> torch.Tensor:
        numbers = [tensor.float().contiguous().numpy() for tensor in inputs]
        # Copied: the next call writes into the same memory.
        return torch.from_numpy(request.infer(numbers, share_inputs=True)[0].copy())

    def _changed(self) -> bool:
        """True while the module is not what was translated: a LoRA is on, or it is cast to decode once more."""
        return bool(getattr(self._module, "peft_config", None)) or next(self._module.parameters()).dtype != self._dtype

    def _back(self, why: str, usual: Any) -> Any:
        self.given_up = why
        self._ready.clear()
        logger.warning("%s is computed by torch again: %s", type(self._module).__name__, why)
        return usual


def _apart(made: torch.Tensor, wanted: Any) -> float:
    """Root mean square of the difference, as a share of what is wanted."""
    right = (wanted if isinstance(wanted, torch.Tensor) else wanted[0]).float()
    return float((made - right).square().mean().sqrt() / right.square().mean().sqrt().clamp(min=1e-12))


def replace(module: torch.nn.Module, file: Path, arrange: Arrange, answer: Callable[..., Any]) -> Compiled:
    """From now on the module's forward pass is computed from the translation in `file`."""
    compiled = Compiled(module, file, arrange, answer)
    module.forward = compiled  # an attribute of this one object, as accelerate's hooks do it
    return compiled


def compiled_parts(modules: Sequence[Any]) -> list[Compiled]:
    """Those of the modules' stand-ins that are at work."""
    found = (getattr(module, "forward", None) for module in modules)
    return [part for part in found if isinstance(part, Compiled) and not part.given_up]
