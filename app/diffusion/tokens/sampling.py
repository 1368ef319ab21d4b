"""Which token comes next: transformers' own processors, in its order, and the picture's own generator."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from transformers.generation.logits_process import (
    ClassifierFreeGuidanceLogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

_NOTHING_READ = torch.zeros(1, 0, dtype=torch.long)  # none of these looks at the tokens before


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen. Temperature 0 takes the likeliest; `top_k` 0 and `top_p` 1 leave all that there are.

    `condition_scale` above 1 weighs what is likely with the prompt against what is likely without.
    """

    condition_scale: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    temperature: float = 1.0
    processors: LogitsProcessorList = field(init=False, repr=False)

    def __post_init__(self) -> None:
        chosen = LogitsProcessorList()
        if self.guided:
            chosen.append(ClassifierFreeGuidanceLogitsProcessor(self.condition_scale))
        if self.temperature not in (0, 1):
            chosen.append(TemperatureLogitsWarper(float(self.temperature)))
        if self.top_k:
            chosen.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1:
            chosen.append(TopPLogitsWarper(float(self.top_p)))
        object.__setattr__(self, "processors", chosen)

    @property
    def guided(self) -> bool:
        """True if a second row without the prompt is needed."""
        return self.condition_scale > 1

    def told(self) -> Mapping[str, float]:
        """As the recipe has it."""
        names = ("top_k", "top_p", "temperature", "condition_scale")
        return {name: getattr(self, name) for name in names}

    def choose(self, scores: torch.Tensor, noise: torch.Generator) -> int:
        """A token by the scores of its row: [1, n], or [2, n] with that without the prompt below.

        It is chosen on the CPU, whatever the device, from `noise`, which is left as one choice leaves it.
        """
        likely = self.processors(_NOTHING_READ, scores.float().cpu())
        if self.temperature == 0:
            return int(likely.argmax())
        return int(torch.multinomial(torch.softmax(likely, dim=-1), 1, generator=noise))
