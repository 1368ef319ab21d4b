"""One module that OpenVINO can compute, as the rest of this folder knows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from app.diffusion.compiled.replace import Arrange, Inputs


@dataclass(frozen=True)
class Part:
    """One module, what is traced in its place, with which inputs, and how calls are turned into those and back."""

    name: str
    module: torch.nn.Module
    traced: torch.nn.Module
    example: Inputs
    arrange: Arrange
    answer: Callable[..., Any]
