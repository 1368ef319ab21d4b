"""What callers of the OpenAI images API send and get."""

import re
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from app.core.schema import MAX_PROMPT_CHARS
from app.service.foreign.bodies import ForeignBody, ours

MAX_N = 10
_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_SIZE_SCHEMA: dict[str, Any] = {"pattern": rf"^(auto|{_SIZE.pattern})$"}
NO_EFFECT = "Has no effect here."


class OpenAIGeneration(ForeignBody):
    """What to draw. Fields without a meaning here are taken with the values that change nothing; others are refused."""

    unknown = "this parameter is not supported"

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARS, description="What the picture shows.")
    model: str | None = Field(None, description="Catalog key, or a name that the owner's table of aliases knows.")
    stream: bool | None = Field(None, description="Tell events while the one picture is made.")
    n: int | None = Field(None, ge=1, le=MAX_N, description="How many pictures; 1 in a stream.")
    size: str | None = Field(None, description="WIDTHxHEIGHT in pixels, or auto.", json_schema_extra=_SIZE_SCHEMA)
    quality: Literal["auto", "standard", "low", "medium", "high", "hd", "xhigh", "max"] | None = Field(
        None, description="How many of the model's own steps; num_inference_steps wins."
    )
    response_format: Literal["url", "b64_json"] | None = Field(None, description="Both if absent.")
    output_format: Literal["png", "jpeg", "webp"] | None = Field(None, description="Of the picture; png if absent.")
    output_compression: int | None = Field(None, ge=0, le=100, description="Quality of a JPEG or WebP; 100 if absent.")
    partial_images: int | None = Field(None, ge=0, le=3, description="Most previews of a stream.")
    background: Literal["auto", "opaque"] | None = Field(None, description=NO_EFFECT)
    moderation: Literal["auto", "low"] | None = Field(None, description=NO_EFFECT)
    style: Literal["vivid", "natural"] | None = Field(None, description=f"{NO_EFFECT} Say it in the prompt.")
    user: str | None = Field(None, description=NO_EFFECT)
    safety_identifier: str | None = Field(None, description=NO_EFFECT)
    seed: int | None = ours("seed")
    negative_prompt: str | None = ours("negative_prompt")
    num_inference_steps: int | None = ours("num_inference_steps")
    guidance_scale: float | None = ours("guidance_scale", strict=False)
    scheduler: str | None = ours("scheduler")

    @field_validator("n")
    @classmethod
    def _one_in_a_stream(cls, n: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("stream") and n not in (None, 1):
            raise ValueError("a stream has one image; allowed is 1")
        return n

    @field_validator("size")
    @classmethod
    def _is_a_size(cls, size: str | None) -> str | None:
        if size not in (None, "auto") and not _SIZE.fullmatch(size or ""):
            raise ValueError('allowed is "auto" or WIDTHxHEIGHT in pixels, like "512x512"')
        return size

    def sides(self) -> tuple[int | None, int | None]:
        """Width and height in pixels; None = the model's own."""
        match = _SIZE.fullmatch(self.size or "")
        return (int(match[1]), int(match[2])) if match else (None, None)


class OpenAIVariation(OpenAIGeneration):
    """What to vary, as a form; `image` is its file. A prompt is not needed: the picture may say its own."""

    prompt: str = Field("", max_length=MAX_PROMPT_CHARS, description="What the picture shows.")
    strength: float | None = ours("strength")


class OpenAIEdit(OpenAIGeneration):
    """What to change, as a form; `image` is the file to start from, `mask` one that is transparent where to draw."""

    strength: float | None = ours("strength")
    input_fidelity: Literal["high", "low"] | None = Field(None, description=f"{NO_EFFECT} Say a strength.")


class OpenAIImage(BaseModel):
    """One picture: its bytes in base64, an address, or both."""

    b64_json: str | None = None
    url: str | None = None


class OpenAIOurs(BaseModel):
    """What this service adds; `notes` are on what was not done literally."""

    job_id: str
    model: str
    notes: list[str]


class OpenAIImages(BaseModel):
    """The pictures."""

    created: int
    data: list[OpenAIImage]
    size: str
    quality: str
    background: str
    output_format: str
    usage: dict[str, Any] = Field(description="All zero: a local model bills nobody.")
    atelier: OpenAIOurs


class OpenAIModel(BaseModel):
    """One model."""

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str = "atelier"


class OpenAIModels(BaseModel):
    """The models that are installed."""

    object: str = "list"
    data: list[OpenAIModel]


class OpenAIError(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = Field(description="The first wrong field.")
    code: str


class OpenAIFailure(BaseModel):
    """Why a call was not served."""

    error: OpenAIError
