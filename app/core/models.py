"""A model as every room speaks of it: what is known of it, and how the service says that it is right now."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from app.core.schema import JobError
from app.core.shapes import parse_shape
from app.core.task import ModelKind, Task
from app.core.values import Value

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


class ModelFacts(Value):
    """What does not change from one moment to the next. Sizes are bytes and pixels.

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
    pipeline: str = Field(description="Class of diffusers that makes a picture from words with it.")
    size_bytes: int = 0
    parameters: int = 0
    components: Mapping[str, int] = Field({}, description="Parameters of each part, where known.")
    licence: str = "unknown"
    speed: str = ""
    quality: str = ""
    best_for: str = ""
    num_inference_steps: int = 20
    start_steps: int | None = Field(
        None, description="Steps from a picture, where a request names none; as from words if absent."
    )
    guidance_scale: float = 7.5
    width: int = 512
    height: int = 512
    top_k: int | None = Field(None, description="Only of a model that draws token by token; so the next two.")
    top_p: float | None = None
    temperature: float | None = None
    negative_prompt: str = ""
    scheduler: str = "default"
    steps_range: Span = Span(low=1, high=150)
    guidance_range: Span = Span(low=0, high=30)
    top_k_range: Span = Span(low=0, high=16384)
    top_p_range: Span = Span(low=0, high=1)
    temperature_range: Span = Span(low=0, high=2)
    size_range: Span = Span(low=64, high=2048, multiple=8)
    good: Mapping[str, Span] = Field(
        {}, description="Field of a request → where in its range the model draws well; nothing is refused beyond it."
    )
    good_schedulers: tuple[str, ...] = Field(
        (), description="Samplers that suit it beside its own, as its makers say, or as seen; others are not refused."
    )
    shapes: tuple[ShapeText, ...] = Field(
        (), description="The sizes it can draw, as `128x96`; other allowed sizes are scaled from the nearest of them."
    )
    schedulers: tuple[str, ...] = ()
    lora: str | None = Field(None, description="Name of a LoRA that is part of this model.")
    lora_repository: str | None = Field(None, description="Where that LoRA comes from.")
    decoder: Literal["tiny"] | None = Field(
        None, description="`tiny`: a small decoder makes its pictures of the latents, quicker and softer than its VAE."
    )
    scheduler_config: Mapping[str, Any] = Field({}, description="What differs from the base model's scheduler.")
    own: bool = Field(False, description="True for files that the user put there.")
    attaches_to: str | None = Field(
        None, description="Of a control model: the pipeline class of the models whose pictures it can hold."
    )
    control: str | None = Field(None, description="Of a control model: what it reads, such as canny or depth.")
    encoder: str | None = Field(
        None, description="Of an IP-Adapter: key of the model that looks at its pictures; absent = in its own folder."
    )
    refused: str | None = Field(
        None, description="Why it cannot be used: its files or its entry are not as they must be."
    )


class LoraInfo(Value):
    """A LoRA of the models folder. In a prompt it is `<lora:name:0.8>`."""

    name: str
    words: tuple[str, ...] = Field((), description="What to say for it, by its trainer's notes.")
    models: tuple[str, ...] = Field((), description="Keys of the models that could use it, as far as its file tells.")
    refused: str | None = Field(None, description="Why it cannot be used.")


class EmbeddingInfo(Value):
    """A textual inversion embedding of the models folder. In a prompt it is its name."""

    name: str
    vectors: int = Field(0, description="How many tokens of a prompt it takes.")
    models: tuple[str, ...] = Field((), description="Keys of the models that could use it, as far as its file tells.")
    refused: str | None = Field(None, description="Why it cannot be used.")


class Presence(StrEnum):
    """How much of a model is on this machine."""

    ABSENT = "absent"
    PARTIAL = "partial"
    COMPLETE = "complete"


class Download(Value):
    """How a download is. `done` of `of` are bytes, 0 = not known yet."""

    state: str = Field(description="waiting, downloading or failed.")
    done: int
    of: int
    bytes_per_s: float | None = Field(None, description="Of the last seconds.")
    eta_s: float | None = Field(None, description="Seconds left at that speed.")
    error: JobError | None = Field(None, description="Why it failed.")

    @property
    def running(self) -> bool:
        """True while it goes on or waits for its turn."""
        return self.state in ("waiting", "downloading")


class ModelProgress(Value):
    """How far a load is. Units are bytes; 0 = not known."""

    phase: str = Field(description="downloading, loading or loaded; empty while it waits for its turn.")
    done: int
    of: int


class Verdict(Value):
    """How a model would run on the service's machine; bytes are expected peaks for one picture of its own size."""

    fits: bool
    tier: str = Field(description="How it is laid out in memory: resident, released, model_offload, ….")
    lossless: bool = Field(description="False if that changes pixels slightly.")
    vram_bytes: int | None = Field(None, description="Null where there is no GPU.")
    ram_bytes: int
    vram_there_bytes: int | None = None
    ram_there_bytes: int
    hint: str = Field("", description="What would help if it does not fit.")
    compute: str = Field("torch", description="What would compute it: torch or openvino.")
    compute_why: str = Field("", description="Why.")


class ModelInfo(ModelFacts):
    """A catalog entry and how the model is right now. `schedulers` are all that it takes."""

    default: bool = Field(False, description="True for the model that is used when a request names none.")
    installed: bool = Field(False, description="True if all its files are on this machine.")
    files: Presence = Field(Presence.ABSENT, description="absent, partial (an interrupted download) or complete.")
    bytes_on_disk: int = Field(0, description="How much of it is on this machine.")
    download: Download | None = Field(None, description="Set while it is downloaded, and when that failed.")
    state: str = Field("unloaded", description="unloaded, waiting, loading, loaded, unloading or failed.")
    progress: ModelProgress | None = Field(None, description="Set while it is loading.")
    error: JobError | None = Field(None, description="Why loading it failed.")
    ranges: Mapping[str, Span] = Field({}, description="What is allowed here for each number of a request.")
    vaes: tuple[str, ...] = Field((), description="The VAEs that a request for it may name.")
    tasks: tuple[Task, ...] = Field((), description="What it can make of what.")
    kinds: tuple[ModelKind, ...] = Field((), description="What it is for.")
    references: int = Field(0, description="How many more pictures an instruction may speak of (the task edit).")
    verdict: Verdict | None = Field(None, description="How it would run here; null if its size is not known.")
    seconds_a_picture: float | None = Field(
        None, description="Of its own size, steps and guidance, measured here; null if none was made yet."
    )
    sketch_steps: int | None = Field(
        None, description="Steps of pictures that are drawn while somebody types; null if it is too slow here for that."
    )

    @property
    def downloading(self) -> bool:
        """True while it is downloaded or waits for that."""
        return self.download is not None and self.download.running
