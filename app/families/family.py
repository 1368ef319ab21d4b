"""What is said of a family of models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.control import Preprocessor
from app.core.task import KIND_OF, ModelKind, Task

# Flow-matching models step along another path; these samplers work for every one of them (proven by a test of each).
FLOW_SAMPLERS = ("Euler", "Euler a")
# What holds pictures without a pipeline of its own: diffusers' class, and a name for what it has no class for.
T2I_ADAPTER, IP_ADAPTER = "T2IAdapter", "IPAdapter"
# The tasks whose pictures can be held at all.
HELD = (Task.TEXT, Task.IMAGE, Task.INPAINT)
# The parameters that only models which draw token by token take, and what leaves every token its chance.
OF_TOKENS: Mapping[str, int | float] = {"top_k": 0, "top_p": 1.0, "temperature": 1.0}


@dataclass(frozen=True)
class Guidance:
    """How strongly a prompt pulls: the same `guidance_scale` is another parameter in some pipelines.

    `parameter` takes the request's guidance_scale; above `threshold` each step runs with and without the prompt.
    `negative` is false where no negative prompt can work. `empty` stands for an empty negative prompt where the
    pipeline would otherwise not guide at all. Source: the `__call__` of each class.
    """

    parameter: str = "guidance_scale"
    threshold: float = 1.0
    negative: bool = True
    empty: str | None = None


@dataclass(frozen=True)
class SmallDecoder:
    """A small decoder for the latents of some families: its folder in models/decoders, and where it comes from."""

    name: str
    repository: str
    size_bytes: int
    licence: str = "MIT"

    @property
    def command(self) -> str:
        """The command that brings it."""
        files = "config.json diffusion_pytorch_model.safetensors"
        return f"hf download {self.repository} {files} --local-dir models/decoders/{self.name}"


@dataclass(frozen=True)
class Redraws:
    """How a pipeline of diffusers makes pictures larger: it draws them anew, a tile at a time, from noise and by words.

    `tile` is the side of what it looks at at once, in pixels: of the pictures that it learnt from. `latent`: it looks
    at a picture's latents, makes it twice as large, and without guidance it reads no words; else it looks at the
    pixels, and its VAE makes each of them larger. `noise_level`: how much noise it sees them with, as diffusers has it.
    """

    tile: int
    latent: bool = False
    noise_level: int = 0


@dataclass(frozen=True)
class Family:
    """One kind of model.

    `tasks`: the pipeline class of each task. Then the defaults of a model that says none itself; sides in pixels.
    `samplers`: those that work for it, which every flow-matching family names; None = all.
    `clip_encoders`: how many CLIP encoders read the prompt, where Atelier cuts and weighs it itself; 0 = it does not.
    `prompt_tokens`: tokens of the longest text encoder, where the pipeline's own default reads less.
    `chat_template`: how the tokenizer's chat template is asked for, whose words the prompt's limit counts too.
    `loras`: what a LoRA must say it was trained for; empty = any is tried, None = it takes none.
    `encoder_parameters`, `vae_parameters`: what its usual parts hold, for models of which only the whole is known.
    `controls`: by the class of a control model, the pipeline of each task that such models hold the pictures of.
    `adapters`: by the class of an adapter, how many of them hold a picture at once; they need no pipeline of their own.
    `beside_controls`: the tasks in which they do so beside control models.
    `references`: how many more pictures an instruction may speak of, beside the one that the task `edit` changes.
    `alone`: its pipeline makes one picture in a pass.
    `step_bytes`: what a step needs for each pixel, where it is not what a denoiser needs: an estimate.
    `convolves`: the denoiser is a UNet. `video_vae`: the VAE keeps frames of context, and needs more memory.
    `openvino`: OpenVINO may compute its denoiser (see `diffusion.compiled`).
    `architecture`: it draws token by token; its models are one model of this class of transformers, and the pipeline is
    ours (see `diffusion.tokens`).
    `small_decoder`: what a model of it may ask for in the place of its VAE's decoder (`decoder = "tiny"`).
    `redraws`: its models make pictures larger by drawing them anew; `side` is that of what they make at once.
    `sees`: which preprocessor its models are.
    `languages`: those that it describes pictures in. `asked`: a prompt may say what is to be described, and how.
    """

    title: str
    tasks: Mapping[Task, str]
    controls: Mapping[str, Mapping[Task, str]] = field(default_factory=dict)
    adapters: Mapping[str, int] = field(default_factory=dict)
    beside_controls: tuple[Task, ...] = HELD
    num_inference_steps: int = 20
    guidance_scale: float = 7.5
    side: int = 512
    samplers: tuple[str, ...] | None = None
    guidance: Guidance = field(default=Guidance())
    clip_encoders: int = 0
    prompt_tokens: int | None = None
    chat_template: Mapping[str, bool] | None = None
    loras: tuple[str, ...] | None = ()
    encoder_parameters: int = 0
    vae_parameters: int = 84_000_000
    references: int = 0
    step_bytes: int | None = None
    alone: bool = False
    convolves: bool = False
    video_vae: bool = False
    openvino: bool = False
    architecture: str | None = None
    small_decoder: SmallDecoder | None = None
    languages: tuple[str, ...] = ()
    asked: bool = False
    sees: Preprocessor | None = None
    redraws: Redraws | None = None

    @property
    def pipeline(self) -> str:
        """The class that its models name, and by which the family is told."""
        return next(iter(self.tasks.values()))

    @property
    def kinds(self) -> tuple[ModelKind, ...]:
        """What its models are for."""
        return tuple(dict.fromkeys(KIND_OF[task] for task in self.tasks))

    @property
    def draws(self) -> bool:
        """True if a prompt alone is enough for a picture."""
        return Task.TEXT in self.tasks

    @property
    def denoises(self) -> bool:
        """True if it makes pictures by words, of nothing or of pictures."""
        return self.draws or Task.EDIT in self.tasks

    @property
    def in_parts(self) -> bool:
        """True if its models are pipelines of several parts, which a plan lays out in memory."""
        return self.denoises or self.redraws is not None

    @property
    def tokens(self) -> bool:
        """True if it draws token by token: `num_inference_steps` has no effect there, and `OF_TOKENS` have."""
        return self.architecture is not None

    @property
    def only_enlarges(self) -> bool:
        """True if it makes pictures larger and none from words."""
        return tuple(self.tasks) == (Task.UPSCALE,)

    @property
    def only_controls(self) -> bool:
        """True if it holds the pictures of other models, and makes none itself."""
        return tuple(self.tasks) == (Task.CONTROL,)

    @property
    def only_sees(self) -> bool:
        """True if it looks at pictures for control models, and makes none itself."""
        return tuple(self.tasks) == (Task.SEE,)

    @property
    def held_by(self) -> tuple[str, ...]:
        """The classes of all that can hold its pictures."""
        return (*self.controls, *self.adapters)

    @property
    def flow_samplers(self) -> tuple[str, ...]:
        """The samplers to step with if the model turns out to have been trained by flow matching."""
        return self.samplers or FLOW_SAMPLERS

    def can(self, task: Task) -> bool:
        """True if it has a pipeline for the task.

        Under a mask a UNet's pictures from pictures will do: see `diffusion.blend`.
        """
        if self.only_controls or self.only_sees:
            return task in self.tasks
        if task is Task.UPSCALE:
            return self.denoises or task in self.tasks  # needs no model: see `diffusion.enlarge`
        if task is Task.INPAINT and task not in self.tasks:
            return self.convolves and self.can(Task.IMAGE)
        return task in self.tasks

    def can_be_held(self, control: str, task: Task) -> bool:
        """True if control models or adapters of that class can hold the pictures of the task."""
        if control in self.adapters:
            return task in HELD and self.can(task)
        known = self.controls.get(control, {})
        return task in known or (task is Task.INPAINT and self.convolves and Task.IMAGE in known)

    def defaults(self) -> dict[str, Any]:
        """The fields of a catalog entry that the family decides where the model does not."""
        return {
            "num_inference_steps": self.num_inference_steps,
            "guidance_scale": self.guidance_scale,
            "width": self.side,
            "height": self.side,
            **(OF_TOKENS if self.tokens else {}),
        }
