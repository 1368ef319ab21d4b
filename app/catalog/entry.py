"""One model as the catalog knows it, and the ranges of its values."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from app.core.samplers import all_values
from app.core.schema import Value
from app.core.shapes import parse_shape
from app.families import STABLE_DIFFUSION, family_of

ShapeText = Annotated[str, AfterValidator(lambda text: str(parse_shape(text)))]


class Span(Value):
    """An allowed range, both ends included. `multiple` is the step of a size in pixels."""

    low: float
    high: float
    multiple: int = 1

    def allows(self, value: float) -> bool:
        """True if the value is inside and a multiple of `multiple`."""
        return self.low <= value <= self.high and (self.multiple == 1 or value % self.multiple == 0)

    def words(self) -> str:
        """The range as a person reads it."""
        text = f"allowed is {self.low:g} to {self.high:g}"
        return f"{text} in steps of {self.multiple}" if self.multiple > 1 else text


class ModelEntry(Value):
    """One model as the catalog knows it. Sizes are bytes and pixels.

    `repository` is a hub id, or absent for a model that is a `path` (a diffusers folder, or one `.safetensors`
    file) inside the models folder; `config` is a folder there whose configurations a single file is loaded with
    instead of its family's own. `transformer` is a `.gguf` or `.safetensors` file there that stands in for the
    transformer of the repository or path. `revision` pins the hub's commit. `schedulers` empty = every known one.
    """

    key: str
    title: str
    repository: str | None = None
    revision: str | None = None
    variant: str | None = None
    path: str | None = None
    config: str | None = None
    transformer: str | None = None
    pipeline: str = STABLE_DIFFUSION.pipeline
    size_bytes: int = 0
    parameters: int = 0
    components: Mapping[str, int] = Field({}, description="Parameters of each part, where known.")
    licence: str = "unknown"
    speed: str = ""
    quality: str = ""
    best_for: str = ""
    num_inference_steps: int = 20
    guidance_scale: float = 7.5
    width: int = 512
    height: int = 512
    negative_prompt: str = ""
    scheduler: str = "default"
    steps_range: Span = Span(low=1, high=150)
    guidance_range: Span = Span(low=0, high=30)
    size_range: Span = Span(low=64, high=2048, multiple=8)
    good: Mapping[str, Span] = Field(
        {}, description="Field of a request → where in its range the model draws well; nothing is refused beyond it."
    )
    shapes: tuple[ShapeText, ...] = Field(
        (), description="The sizes it can draw, as `128x96`; other allowed sizes are scaled from the nearest of them."
    )
    schedulers: tuple[str, ...] = ()
    lora: str | None = Field(None, description="Name of a LoRA that is part of this model.")
    lora_repository: str | None = Field(None, description="Where that LoRA comes from.")
    scheduler_config: Mapping[str, Any] = Field({}, description="What differs from the base model's scheduler.")
    own: bool = Field(False, description="True for files that the user put there.")
    refused: str | None = Field(
        None, description="Why it cannot be used: its files or its entry are not as they must be."
    )


def allowed_schedulers(entry: ModelEntry) -> tuple[str, ...]:
    """Every `scheduler` value that a model takes beside `default`: its own list, or all that work for its family."""
    return entry.schedulers or tuple(all_values(family_of(entry.pipeline).samplers)[1:])
