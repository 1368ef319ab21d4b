"""What callers of AUTOMATIC1111's API send. A field that is not read is ignored, as A1111 does.

Source of the shapes: A1111 `modules/api/models.py`.
"""

import base64
import binascii
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from app.core.schema import HR_LANCZOS, HR_LATENT, MAX_INPUTS, MAX_MASK_BLUR, MAX_STYLES, StyleName
from app.picture.resize import METHODS
from app.service.automatic1111.features import (
    HARMLESS_OVERRIDES,
    IMG2IMG,
    INSTEAD,
    OVERRIDES,
    TXT2IMG,
    UPSCALING,
    is_script_off,
)
from app.service.foreign.bodies import NOT_HERE, ForeignBody, asked_for, ours

CLIP_FROM, MAX_CLIP = 1, 12  # the span of A1111's own setting
MAX_TASK_CHARS = 64
MAX_EXTRA_IMAGES = 16
MAX_SIDE = 8192
OURS = ("controlnet",)  # extensions whose arguments are read, in lower case


def _bytes_of(value: Any) -> bytes:
    """The bytes of a base64 picture, with or without a `data:` prefix. No URL is followed."""
    if isinstance(value, str):
        try:
            data = base64.b64decode(value.partition(",")[2] if value.startswith("data:") else value, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if data:
            return data
    raise ValueError("a picture in base64 is needed")


# What A1111 takes for true or false, and for nothing.
Flag = Annotated[bool, BeforeValidator(bool)]
Picture = Annotated[bytes, BeforeValidator(_bytes_of), WithJsonSchema({"type": "string", "contentEncoding": "base64"})]
_EMPTY_IS_NONE = BeforeValidator(lambda value: value or None)
TaskId = Annotated[str | None, Field(max_length=MAX_TASK_CHARS)]


class A1111Body(ForeignBody):
    """Base of these bodies."""

    model_config = ConfigDict(extra="ignore")


class A1111Overrides(ForeignBody):
    """Settings for this request alone: the model, CLIP's last layers, and those that change nothing here."""

    model_config = ConfigDict(extra="allow")
    not_here = OVERRIDES

    sd_model_checkpoint: str | None = Field(None, description="A title of the model list.")
    sd_vae: Annotated[str | None, _EMPTY_IS_NONE] = Field(
        None, description="A name of /sdapi/v1/sd-vae; Automatic or None = the model's own."
    )
    CLIP_stop_at_last_layers: int | None = Field(
        None, ge=CLIP_FROM, le=MAX_CLIP, description="The layer that is read, counted from the end."
    )

    @model_validator(mode="before")
    @classmethod
    def _knows_each(cls, values: Any) -> Any:
        if isinstance(values, dict):
            if wanted := asked_for(values, OVERRIDES):
                raise ValueError(f"{NOT_HERE}: {', '.join(error.field for error in wanted)}")
            known = (*OVERRIDES, *HARMLESS_OVERRIDES)
            if wrong := sorted(name for name in values if not name.startswith(known)):
                raise ValueError(f"these settings are not known here: {', '.join(wrong)}")
        return values


class A1111Txt2Img(A1111Body):
    """What to draw. Absent fields are as `infotext` or the model has them; what is not available here is refused."""

    not_here = TXT2IMG
    instead = INSTEAD

    prompt: str | None = ours("prompt")
    negative_prompt: str | None = ours("negative_prompt")
    styles: Annotated[list[StyleName] | None, _EMPTY_IS_NONE] = Field(
        None, max_length=MAX_STYLES, description="Names of /sdapi/v1/prompt-styles."
    )
    steps: int | None = ours("num_inference_steps")
    cfg_scale: float | None = ours("guidance_scale", strict=False)
    width: int | None = ours("width")
    height: int | None = ours("height")
    seed: int | None = ours("seed")
    subseed: int | None = ours("subseed")
    subseed_strength: float | None = ours("subseed_strength", strict=False)
    batch_size: int | None = Field(None, ge=1, description="Pictures; as many times n_iter.")
    n_iter: int | None = Field(None, ge=1, description="Pictures; as many times batch_size.")
    sampler_name: str | None = Field(None, description="A1111's name of a sampler; Automatic = the model's own.")
    sampler_index: str | None = Field(None, description="The older field for sampler_name.")
    scheduler: str | None = Field(None, description="A schedule type.")
    clip_skip: int | None = Field(None, ge=CLIP_FROM, le=MAX_CLIP, description="CLIP_stop_at_last_layers of SD.Next.")
    override_settings: Annotated[A1111Overrides | None, _EMPTY_IS_NONE] = None
    alwayson_scripts: Annotated[dict[str, Any] | None, _EMPTY_IS_NONE] = Field(
        None, description="Extensions: ControlNet's units; all others only switched off."
    )
    infotext: Annotated[str | None, BeforeValidator(lambda text: text if isinstance(text, str) else None)] = Field(
        None, description="Fills the fields that were not given."
    )
    enable_hr: Flag = Field(False, description="Draw, enlarge, and draw again.")
    denoising_strength: float | None = ours("strength", strict=False)
    hr_scale: float | None = Field(None, description="With enable_hr: how many times as large, 1 to 4; 2 if absent.")
    hr_upscaler: str | None = Field(
        None, description=f"With enable_hr: {HR_LATENT} (if absent), {HR_LANCZOS} or a model of the list of upscalers."
    )
    hr_second_pass_steps: int | None = Field(None, description="With enable_hr: 0 = as many as the first pass.")
    hr_resize_x: int | None = Field(None, description="With enable_hr: the width in pixels, instead of hr_scale.")
    hr_resize_y: int | None = Field(None, description="With enable_hr: the height in pixels, instead of hr_scale.")
    force_task_id: TaskId = Field(None, description="The caller's own name for this job.")
    eta: Any = Field(None, description="Only 0 and 1, and only without effect.")
    send_images: Flag = Field(True, description="Put the pictures into the answer.")

    @field_validator("alwayson_scripts")
    @classmethod
    def _are_off(cls, scripts: dict[str, Any] | None) -> dict[str, Any] | None:
        extensions = {name: script for name, script in (scripts or {}).items() if name.lower() not in OURS}
        wanted = [name for name, script in extensions.items() if not is_script_off(script)]
        if wanted:
            raise ValueError(f"{NOT_HERE}: {', '.join(wanted)}")
        return scripts


class A1111Img2Img(A1111Txt2Img):
    """What to draw, and the picture to start from."""

    not_here = IMG2IMG

    init_images: list[Picture] = Field(
        min_length=1,
        max_length=MAX_INPUTS,
        description="One picture in base64; several for a model that follows instructions.",
    )
    mask: Annotated[Picture | None, _EMPTY_IS_NONE] = Field(None, description="White where it is made anew.")
    resize_mode: int | None = Field(None, ge=0, le=1, description="0 = just resize, 1 = crop and resize.")
    mask_blur: float | None = Field(None, ge=0, le=MAX_MASK_BLUR, strict=False, description="Pixels, both ways.")
    mask_blur_x: float | None = Field(None, ge=0, le=MAX_MASK_BLUR, strict=False, description="Pixels across.")
    mask_blur_y: float | None = Field(None, ge=0, le=MAX_MASK_BLUR, strict=False, description="Pixels down.")
    inpainting_fill: int | None = ours("inpainting_fill")
    inpaint_full_res: Flag = Field(True, description="The masked part alone, at the size that is asked for.")
    inpaint_full_res_padding: int | None = ours("inpaint_full_res_padding")
    inpainting_mask_invert: Flag = Field(False, description="Black is made anew.")
    include_init_images: Flag = Field(False, description="Send the pictures back with the request.")


class A1111Options(A1111Body):
    """The server's options; all but the model are taken without effect."""

    sd_model_checkpoint: str | None = Field(None, description="The title of the model to load and use from now on.")


class A1111Task(A1111Body):
    """Whose progress is asked for."""

    id_task: TaskId = Field(None, description="A force_task_id, or a job's id.")
    live_preview: Flag = Field(True, description="With a preview.")
    id_live_preview: Any = Field(-1, description="Of the last preview that was seen.")


class A1111PngInfo(A1111Body):
    """A picture."""

    image: Picture = Field(description="PNG, JPEG or WebP in base64.")


class A1111Interrogate(A1111Body):
    """A picture that is to be described."""

    image: Picture = Field(description="PNG, JPEG or WebP in base64.")
    model: str = Field("clip", description="clip = the usual model that describes, or its key.")


class A1111Upscaling(A1111Body):
    """How to enlarge pictures."""

    not_here = UPSCALING

    resize_mode: int | None = Field(None, description="0 = by a factor, 1 = to a size.")
    upscaling_resize: float | None = Field(2, description=f"Factor, above 0 and up to {MAX_SIDE}.")
    upscaling_resize_w: float | None = Field(512, description=f"Pixels, above 0 and up to {MAX_SIDE}.")
    upscaling_resize_h: float | None = Field(512, description=f"Pixels, above 0 and up to {MAX_SIDE}.")
    upscaling_crop: Flag = Field(True, description="Cut what does not fit the size.")
    upscaler_1: str | None = Field(
        None, json_schema_extra={"examples": ["None", *METHODS]}, description="How: a name of the list of upscalers."
    )


class A1111Upscale(A1111Upscaling):
    """A picture to enlarge, and how."""

    image: Picture = Field(description="PNG, JPEG or WebP in base64.")


class A1111Item(A1111Body):
    """One of several pictures."""

    data: Picture = Field(description="PNG, JPEG or WebP in base64.")
    name: Any = None


class A1111UpscaleBatch(A1111Upscaling):
    """Pictures to enlarge, and how."""

    imageList: list[A1111Item] = Field(max_length=MAX_EXTRA_IMAGES, description="The pictures.")
