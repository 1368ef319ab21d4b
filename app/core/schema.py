"""Request → job → image: the values that every door, room and process shares. Frozen; JSON in and out."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from app.core.control import MAX_UNITS, ControlUnit
from app.core.errors import AtelierError
from app.core.parameters import Parameter
from app.core.task import Task
from app.core.values import Text, Value

MAX_PROMPT_CHARS = 20_000
# Inclusive. 2^32 is what people ask for at most (A1111, the playground); the seed of the last of up to 64 images of
# such a job must be allowed too, or its picture could not be asked for again.
MAX_SEED = 2**32 + 63
RANDOM_SEED = -1
# How the hires fix enlarges what its first pass made.
HR_LANCZOS: Literal["Lanczos"] = "Lanczos"
HR_LATENT: Literal["Latent"] = "Latent"
MAX_MASK_BLUR = 64  # pixels
MAX_EXTENSION = 2048  # pixels of one side
NO_SIDES = (0, 0, 0, 0)
Pixels = Annotated[int, Field(ge=0, le=MAX_EXTENSION, strict=True)]
MAX_PRIORITY = 10  # and as far below 0
MAX_INPUTS = 16  # of one job; a setting may allow fewer
VARIATION_OF = "variation_of"  # in `extra`: the id of the picture whose noise it goes away from
MAX_STYLES = 20  # of one job
MAX_STYLE_CHARS = 200  # of a style's name


class JobState(StrEnum):
    """Where a job is. `queued` and `running` are open; the other three never change again."""

    QUEUED = "queued"  # waits for its turn
    RUNNING = "running"  # an engine works on it
    SUCCEEDED = "succeeded"  # all its images are saved
    FAILED = "failed"  # `error` says why
    CANCELLED = "cancelled"  # someone asked for it

    @property
    def finished(self) -> bool:
        """True if the job will never change again."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Move(StrEnum):
    """Where a queued job goes among the queued jobs of the same caller and priority."""

    FRONT = "front"
    UP = "up"  # one place nearer to its turn
    DOWN = "down"


class InputRole(StrEnum):
    """What a picture is for in a job."""

    IMAGE = "image"  # the picture to start from
    MASK = "mask"  # white where the picture is to be made anew, black where it stays
    REFERENCE = "reference"  # what the prompt speaks of


class JobInput(Value):
    """A picture that a job starts from, by the SHA-256 that the service gave it when it was uploaded."""

    role: InputRole = Field(InputRole.IMAGE, description="What the picture is for.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Which picture: the answer of POST /api/inputs says it.")
    weight: float = Field(1.0, ge=0, le=2, allow_inf_nan=False, strict=True, description="How strongly it counts.")
    model: str | None = Field(None, max_length=200, description="No task of today has one; see `control`.")


StyleName = Annotated[Text, Field(min_length=1, max_length=MAX_STYLE_CHARS)]


class Written(Value):
    """Both prompts as they were written, where styles were added to them, or choices or wildcards in them drawn."""

    prompt: Text = Field("", max_length=MAX_PROMPT_CHARS, description="With its choices, such as {red|blue}.")
    negative_prompt: Text = Field("", max_length=MAX_PROMPT_CHARS, description="Likewise.")
    styles: tuple[StyleName, ...] = Field((), strict=False, description="Names of the styles that were added.")


class GenerationRequest(Value):
    """What to draw. `None` means "as the model's catalog entry says".

    A stored job's request has no `None`, but for `strength` where there is no picture to start from, and for what only
    models that draw token by token take (`top_k`, `top_p`, `temperature`) with all others.
    """

    prompt: Annotated[Text, Parameter(per_row=True)] = Field(
        max_length=MAX_PROMPT_CHARS, description="What the picture shows, or what is asked of one to be described."
    )
    negative_prompt: Annotated[Text, Parameter(per_row=True)] = Field(
        "", max_length=MAX_PROMPT_CHARS, description="What it must not show."
    )
    styles: Annotated[tuple[StyleName, ...], Parameter(per_row=True)] = Field(
        (),
        max_length=MAX_STYLES,
        strict=False,
        description="Names of styles that are added to both prompts, one after the other. A stored request has them in "
        "`written`, and its prompts with them.",
    )
    model: Annotated[str | None, Parameter()] = Field(
        None, max_length=200, description="Catalog key; the default model if absent."
    )
    num_inference_steps: Annotated[int | None, Parameter(argument=True, infotext="Steps")] = Field(
        None, ge=1, le=1000, strict=True, description="Denoising steps."
    )
    guidance_scale: Annotated[float | None, Parameter(infotext="CFG scale")] = Field(
        None, ge=0, le=100, allow_inf_nan=False, description="CFG scale; 0 or 1 = no guidance."
    )
    width: Annotated[int | None, Parameter(argument=True)] = Field(
        None, ge=8, le=8192, strict=True, description="Pixels."
    )
    height: Annotated[int | None, Parameter(argument=True)] = Field(
        None, ge=8, le=8192, strict=True, description="Pixels."
    )
    seed: Annotated[int, Parameter(per_row=True)] = Field(
        RANDOM_SEED, ge=RANDOM_SEED, le=MAX_SEED, strict=True, description="-1 = random; image i has seed + i."
    )
    subseed: Annotated[int, Parameter(per_row=True)] = Field(
        RANDOM_SEED,
        ge=RANDOM_SEED,
        le=MAX_SEED,
        strict=True,
        description="With subseed_strength: the other seed, -1 = random; image i has it + i, and all have the seed.",
    )
    subseed_strength: Annotated[float, Parameter(per_row=True, infotext="Variation seed strength")] = Field(
        0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="How far the noise of variations goes from that of the seed (0) to that of the subseed (1).",
    )
    num_images: Annotated[int, Parameter(per_row=True)] = Field(1, ge=1, strict=True, description="Images of this job.")
    scheduler: Annotated[str | None, Parameter()] = Field(
        None, max_length=100, description="Sampler by its A1111 or diffusers name; the model's own if absent."
    )
    clip_skip: Annotated[int, Parameter(argument=True, infotext="Clip skip", infotext_from=1)] = Field(
        0, ge=0, le=31, strict=True, description="Last layers of the CLIP text encoders to leave out (A1111's less 1)."
    )
    vae: Annotated[str | None, Parameter()] = Field(
        None, min_length=1, max_length=200, description="A VAE of models/vae in the place of the model's own."
    )
    # JSON has no word for the types of these two: a text and a list are taken for them where all else is strict.
    task: Annotated[Task, Parameter()] = Field(Task.TEXT, strict=False, description="What is made of what.")
    inputs: Annotated[tuple[JobInput, ...], Parameter()] = Field(
        (), max_length=MAX_INPUTS, strict=False, description="The pictures that the task starts from."
    )
    control: Annotated[tuple[ControlUnit, ...], Parameter()] = Field(
        (),
        max_length=MAX_UNITS,
        strict=False,
        description="Pictures whose edges, depth, pose or looks hold the new one.",
    )
    strength: Annotated[float | None, Parameter(infotext="Denoising strength")] = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="How far the new picture may leave the first one: 0 gives that back, 1 hardly looks at it.",
    )
    mask_blur: Annotated[float, Parameter(infotext="Mask blur")] = Field(
        0.0, ge=0, le=MAX_MASK_BLUR, allow_inf_nan=False, description="Pixels by which the mask's edge is softened."
    )
    inpaint_full_res: Annotated[bool, Parameter()] = Field(
        False,
        strict=True,
        description="Draw the masked part alone, at the size that is asked for, and put it back into the first "
        "picture, which keeps its own size.",
    )
    inpaint_full_res_padding: Annotated[int, Parameter(infotext="Masked area padding")] = Field(
        32, ge=0, le=1024, strict=True, description="Pixels around the masked part that inpaint_full_res draws with it."
    )
    extend: Annotated[tuple[Pixels, Pixels, Pixels, Pixels], Parameter()] = Field(
        NO_SIDES,
        strict=False,
        description="Pixels to draw beyond each side of the first picture, which keeps its own: left, top, right, "
        "bottom. The task is inpaint, with a mask or without. All of it is drawn at the size that is "
        "asked for, or with inpaint_full_res the new part.",
    )
    inpainting_fill: Annotated[int, Parameter()] = Field(
        1,
        ge=0,
        le=3,
        strict=True,
        description="What is under the mask at first: 0 the colours around it, 1 what is there, 2 noise, 3 nothing.",
    )
    enable_hr: Annotated[bool, Parameter()] = Field(
        False,
        strict=True,
        description="Hires fix: draw at the size that is asked for, enlarge that, and draw it again as far as "
        "`strength` says.",
    )
    hr_scale: Annotated[float, Parameter()] = Field(
        2.0, ge=1, le=4, allow_inf_nan=False, description="With enable_hr: how many times as wide and high it becomes."
    )
    hr_upscaler: Annotated[str, Parameter()] = Field(
        HR_LANCZOS, min_length=1, max_length=200, description="How: Lanczos, Latent, or the key of an upscaling model."
    )
    hr_second_pass_steps: Annotated[int, Parameter()] = Field(
        0, ge=0, le=1000, strict=True, description="With enable_hr: steps of the second pass; 0 = as many as the first."
    )
    scale: Annotated[int, Parameter(infotext="Upscale by")] = Field(
        1, ge=1, le=4, strict=True, description="How many times as wide and as high the task upscale makes a picture."
    )
    top_k: Annotated[int | None, Parameter(argument=True, infotext="Top K")] = Field(
        None,
        ge=0,
        le=100_000,
        strict=True,
        description="Token by token: one of so many likeliest is taken; 0 = of all.",
    )
    top_p: Annotated[float | None, Parameter(argument=True, infotext="Top P")] = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="Likewise: of the likeliest that have this share together."
    )
    temperature: Annotated[float | None, Parameter(argument=True, infotext="Temperature")] = Field(
        None, ge=0, le=10, allow_inf_nan=False, description="Likewise: how freely; 0 = always the likeliest."
    )
    language: Annotated[Literal["en", "zh"], Parameter(per_row=True)] = Field(
        "en", description="With the task describe: of the text that says what the picture shows."
    )
    written: Annotated[Written, Parameter(per_row=True)] = Field(
        Written(),
        description="Set by the service where styles were added, or {red|blue} or __wildcards__ drawn. With it both "
        "prompts are taken as they stand, so that a stored request gives the same picture again.",
    )
    extra: Annotated[dict[str, Any], Parameter(per_row=True)] = Field(
        default_factory=dict, description="Values of other dialects that are kept but have no effect here."
    )

    @property
    def num_pictures(self) -> int:
        """How many pictures its job makes: none if it describes one."""
        return 0 if self.task is Task.DESCRIBE else self.num_images

    def seed_of(self, image: int) -> int:
        """The seed of one image: seeds count up; but variations have one seed, and another subseed each."""
        return self.seed if self.subseed_strength else self.seed + image

    def subseed_of(self, image: int) -> int | None:
        """The subseed of one image; None where there are no variations."""
        return self.subseed + image if self.subseed_strength else None


class InputRef(Value):
    """An uploaded picture as it is kept: plain, turned upright, as a PNG whose SHA-256 is its name. Sizes in pixels.

    `said` is what the file that came said of its making: `kind`, `made_by`, `labels`, `recipe`, as `inspect` has them.
    """

    sha256: str
    width: int
    height: int
    mode: str = Field(description="L, RGB or RGBA.")
    bytes: int
    said: dict[str, Any] = Field(default_factory=dict)


class Progress(Value):
    """How far a running job is: `step` of `of` in `phase` (`loading`, `denoising`, `saving`)."""

    step: int
    of: int
    phase: str


class JobError(Value):
    """Why a job failed: a stable `code`, a sentence, and what would help (or null)."""

    code: str
    message: str
    hint: str | None = None

    @classmethod
    def of(cls, error: AtelierError) -> "JobError":
        """The error as a job carries it."""
        return cls(code=error.code, message=error.message, hint=error.hint)


class ImageRef(Value):
    """One saved image, as it appears inside a job. `url` is relative to the service's address.

    `notes` are sentences about what was asked for and had no effect: words cut off, weights, a negative prompt.
    """

    id: str
    index: int
    seed: int
    width: int
    height: int
    url: str
    sha256: str
    notes: tuple[str, ...] = ()


class Job(Value):
    """One accepted request and what became of it. Times are UTC; `seconds` is the engine's working time."""

    id: str
    state: JobState
    origin: str
    request: GenerationRequest
    priority: int = 0
    attempt: int = 0
    crashes: int = Field(0, description="How often the engine ended under it; such a job is tried again.")
    max_crashes: int = Field(0, description="At so many it fails; 0 = not known.")
    position: int | None = None
    eta_s: float | None = None
    progress: Progress | None = None
    images: tuple[ImageRef, ...] = ()
    text: str | None = Field(None, description="What a job of the task describe found, once it has succeeded.")
    error: JobError | None = None
    waiting: JobError | None = Field(None, description="Why no device takes this queued job now, such as a full disk.")
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float | None = None


class SavedImage(Value):
    """A row of the library. `path` is relative to the library folder; `recipe` is the PNG's exact JSON."""

    id: str
    job_id: str
    index: int
    seed: int
    width: int
    height: int
    path: str
    sha256: str
    bytes: int
    prompt: str
    negative_prompt: str = ""
    model: str
    origin: str
    seconds: float | None = None
    favourite: bool = False
    created_at: datetime
    recipe: dict[str, Any]

    @property
    def url(self) -> str:
        """Where the service serves the file's bytes, relative to its address."""
        return f"/images/{self.id}.png"

    def ref(self) -> ImageRef:
        """The short form that a job carries."""
        return ImageRef(
            id=self.id, index=self.index, seed=self.seed, width=self.width, height=self.height,
            url=self.url, sha256=self.sha256, notes=notes_of(self.recipe),
        )  # fmt: skip


def alone(made: dict[str, Any], seed: int, image: int) -> dict[str, Any]:
    """The fields of a stored request that make one of its pictures again: `seed` is that of the picture."""
    subseed = {"subseed": made["subseed"] + image} if made.get("subseed_strength") else {}
    return {**made, "num_images": 1, "seed": seed, **subseed}


def notes_of(recipe: dict[str, Any]) -> tuple[str, ...]:
    """The notes of a recipe: see ImageRef."""
    return tuple((recipe.get("how") or {}).get("notes") or ())


class TrashedImage(SavedImage):
    """A deleted image that can still be had back."""

    deleted_at: datetime
