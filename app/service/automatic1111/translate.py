"""AUTOMATIC1111's txt2img and infotexts into ours and back. Pure translation.

Source of the shapes: A1111 `modules/api/models.py`, `modules/processing.py` (`Processed.js`).
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from app.core.errors import FieldError, InvalidRequest
from app.core.samplers import SCHEDULE_TYPES, Choice, find_sampler, find_schedule, parse_scheduler
from app.core.schema import HR_LANCZOS, HR_LATENT, GenerationRequest, Job
from app.picture import infotext
from app.service.automatic1111.answers import A1111Made, A1111Progress, A1111State
from app.service.automatic1111.bodies import CLIP_FROM, A1111Txt2Img
from app.service.automatic1111.features import eta_comment
from app.service.foreign.names import field_errors, request_of

NAMES = {
    "num_inference_steps": "steps",
    "guidance_scale": "cfg_scale",
    "scheduler": "sampler_name",
    "num_images": "batch_size",
    "model": "sd_model_checkpoint",
    "strength": "denoising_strength",
    "vae": "sd_vae",
}
OWN_VAE = ("", "None", "Automatic", "auto")
NO_UPSCALER = "None"  # which is Lanczos there, too
_INFOTEXT_FIELDS = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "num_inference_steps": "steps",
    "guidance_scale": "cfg_scale",
    "width": "width",
    "height": "height",
    "seed": "seed",
    "subseed": "subseed",
    "subseed_strength": "subseed_strength",
    "scheduler": "sampler_name",
    "strength": "denoising_strength",
    "mask_blur": "mask_blur",
    "inpaint_full_res_padding": "inpaint_full_res_padding",
    "enable_hr": "enable_hr",
    "hr_scale": "hr_scale",
    "hr_upscaler": "hr_upscaler",
    "hr_second_pass_steps": "hr_second_pass_steps",
}


@dataclass(frozen=True)
class Sampling:
    """A sampler and a schedule type as asked for, and the one `scheduler` value they mean. `comment`: what differs."""

    value: str | None
    comment: str = ""


def to_sampling(sampler: str | None, schedule: str | None) -> Sampling:
    """A legacy name may end in a schedule type. A type that the sampler cannot use is Automatic, and `comment` says so.

    Raises InvalidRequest: "Sampler not found" for an unknown sampler; an unknown schedule type; one without a sampler.
    """
    kind = find_schedule(schedule or "automatic")
    if kind is None:
        names = ", ".join(known.name for known in SCHEDULE_TYPES)
        raise InvalidRequest([FieldError("scheduler", schedule, f"allowed is one of: {names}")])
    if not sampler or sampler.strip().lower() in ("automatic", "default"):
        if kind.name != "automatic":
            raise InvalidRequest([FieldError("scheduler", schedule, "a schedule type needs a sampler_name")])
        return Sampling(None)
    choice = parse_scheduler(sampler)
    if choice is None or choice.sampler is None:
        raise InvalidRequest([FieldError("sampler_name", sampler, "Sampler not found")])
    if kind.name == "automatic":
        return Sampling(choice.value)
    if not choice.sampler.fits(kind):
        return Sampling(choice.value, f"{choice.sampler.name} has no schedule type {kind.label}: Automatic was used.")
    return Sampling(Choice(choice.sampler, kind).value)


def to_request(body: A1111Txt2Img, model: str) -> GenerationRequest:
    """The request of a txt2img body; `model` is the one chosen by /options.

    Raises InvalidRequest for a sampler or a schedule type that is not known.
    """
    return request_of(
        {
            "prompt": body.prompt or "",
            "negative_prompt": body.negative_prompt,
            "styles": tuple(body.styles) if body.styles else None,
            "model": wanted_model(body) or model,
            "num_inference_steps": body.steps,
            "guidance_scale": body.cfg_scale,
            "width": body.width,
            "height": body.height,
            "seed": body.seed,
            "subseed": body.subseed,
            "subseed_strength": body.subseed_strength,
            "num_images": (body.batch_size or 1) * (body.n_iter or 1),
            "scheduler": _sampling(body).value,
            "clip_skip": _clip_skip(body),
            "vae": _vae(body),
            **(_hires(body) if body.enable_hr else {}),
        }
    )


def wanted_model(body: A1111Txt2Img) -> str | None:
    """The model that the body itself asks for, in `override_settings`."""
    return to_model(body.override_settings.sd_model_checkpoint) if body.override_settings else None


def to_model(title: str | None) -> str | None:
    """The catalog key of a checkpoint title: A1111 adds ` [hash]` to a file's name."""
    return title.partition(" [")[0] if title else None


@dataclass(frozen=True)
class MadeImage:
    """One picture of a finished job: its PNG bytes and the infotext inside it."""

    png: bytes
    infotext: str


def from_job(
    job: Job,
    images: Sequence[MadeImage],
    body: A1111Txt2Img,
    sent: Mapping[str, Any],
    *,
    version: str,
    model_name: str,
    comments: Sequence[str] = (),
) -> A1111Made:
    """The answer. `sent` is the body as it came, which A1111 tells back; `comments` stand before our own."""
    info = _info(job, images, body, version, model_name)
    info["comments"] = "\n".join(filter(None, [*comments, info["comments"]]))
    return A1111Made(
        images=[base64.b64encode(image.png).decode() for image in images] if body.send_images else [],
        parameters=dict(sent),
        info=json.dumps(info, ensure_ascii=False),
    )


def _info(job: Job, images: Sequence[MadeImage], body: A1111Txt2Img, version: str, model_name: str) -> dict[str, Any]:
    request = job.request
    seeds = [image.seed for image in job.images] or [request.seed]
    count = len(seeds)
    subseeds = [request.subseed_of(image.index) for image in job.images] if request.subseed_strength else seeds
    choice = parse_scheduler(request.scheduler or "default")
    extra = {"Schedule type": choice.schedule.label} if choice and choice.schedule.name != "automatic" else {}
    if request.strength is not None:
        extra["Denoising strength"] = str(request.strength)
    extra |= {key: value for key, value in infotext.hires_values(request).items() if value is not None}
    if request.mask_blur:
        extra["Mask blur"] = f"{request.mask_blur:g}"
    comments = [_sampling(body).comment, eta_comment(body.eta, choice)]
    comments += dict.fromkeys(note for image in job.images for note in image.notes)
    return {
        "prompt": request.prompt,
        "all_prompts": [request.prompt] * count,
        "negative_prompt": request.negative_prompt,
        "all_negative_prompts": [request.negative_prompt] * count,
        "seed": seeds[0],
        "all_seeds": seeds,
        "subseed": next(iter(subseeds), request.subseed),
        "all_subseeds": subseeds,
        "subseed_strength": request.subseed_strength,
        "width": request.width,
        "height": request.height,
        "sampler_name": choice.sampler.name if choice and choice.sampler else "Automatic",
        "cfg_scale": request.guidance_scale,
        "steps": request.num_inference_steps,
        "batch_size": body.batch_size or 1,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": model_name,
        "sd_model_hash": None,
        "sd_vae_name": request.vae,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": request.strength,
        "extra_generation_params": extra,
        "index_of_first_image": 0,
        "infotexts": [image.infotext for image in images],
        "styles": list(request.written.styles),
        "job_timestamp": job.created_at.strftime("%Y%m%d%H%M%S"),
        "clip_skip": request.clip_skip + CLIP_FROM,
        "is_using_inpainting_conditioning": False,
        "version": version,
        "comments": "\n".join(comment for comment in comments if comment),
        "job_id": job.id,
    }


def to_progress(job: Job | None, preview: bytes | None) -> A1111Progress:
    """The progress of an open job. Never 0 while there is one: a client that saw 0 would take it for idle."""
    if job is None or job.state.finished:
        return A1111Progress()
    done = job.progress
    share = done.step / done.of if done and done.of and done.phase == "denoising" else 0.0
    return A1111Progress(
        progress=min(max(share, 0.01), 0.99),
        eta_relative=job.eta_s or 0.0,
        state=A1111State(
            job=job.id,
            job_count=job.request.num_images,
            job_timestamp=job.created_at.strftime("%Y%m%d%H%M%S"),
            sampling_step=done.step if done else 0,
            sampling_steps=job.request.num_inference_steps or 0,
        ),
        current_image=base64.b64encode(preview).decode() if preview else None,
        textinfo="In queue" if job.position else (done.phase if done else None),
        current_task=job.id,
    )


def sampler_rows(samplers: Sequence[Any]) -> list[dict[str, Any]]:
    """The list of GET /sdapi/v1/samplers."""
    return [{"name": item.name, "aliases": list(item.aliases), "options": {}} for item in samplers]


def schedule_rows() -> list[dict[str, Any]]:
    """The list of GET /sdapi/v1/schedulers."""
    return [
        {"name": item.name, "label": item.label, "aliases": None, "default_rho": -1.0, "need_inner_model": False}
        for item in SCHEDULE_TYPES
    ]


def _sampling(body: A1111Txt2Img) -> Sampling:
    return to_sampling(body.sampler_name or body.sampler_index, body.scheduler)


def _hires(body: A1111Txt2Img) -> dict[str, Any]:
    """The second pass. A1111 goes by a size where one is given, and cuts what does not fit; here the ratio stays.

    Raises InvalidRequest for a size of another ratio.
    """
    wanted = {"width": body.hr_resize_x or 0, "height": body.hr_resize_y or 0}
    sizes = {"width": body.width or 0, "height": body.height or 0}
    scales = {name: side / sizes[name] for name, side in wanted.items() if side and sizes[name]}
    if any(wanted.values()) and (len(set(scales.values())) != 1 or len(scales) != sum(map(bool, wanted.values()))):
        allowed = "with hr_resize_x a width and with hr_resize_y a height is needed, and the same ratio"
        raise InvalidRequest([FieldError("hr_resize_x", body.hr_resize_x, allowed)])
    values = {
        "enable_hr": True,
        "strength": body.denoising_strength,
        "hr_scale": next(iter(scales.values()), body.hr_scale),
        "hr_upscaler": HR_LANCZOS if body.hr_upscaler == NO_UPSCALER else body.hr_upscaler or HR_LATENT,
        "hr_second_pass_steps": body.hr_second_pass_steps,
    }
    given = {name: value for name, value in values.items() if value is not None}
    try:
        GenerationRequest.model_validate({"prompt": "", **given})
    except ValidationError as error:
        raise InvalidRequest(field_errors(error, GenerationRequest, given, "")) from None
    return values


def _vae(body: A1111Txt2Img) -> str | None:
    """The name of a VAE; A1111 writes it with the file's ending."""
    wanted = (body.override_settings.sd_vae if body.override_settings else None) or ""
    return None if wanted in OWN_VAE else wanted.removesuffix(".safetensors")


def _clip_skip(body: A1111Txt2Img) -> int:
    """A1111 counts the layer that is read from the end, 1 = the last; we count those that are left out.

    SD.Next has a field of its own for it; clients send both.
    """
    overrides = body.override_settings
    asked = overrides.CLIP_stop_at_last_layers if overrides else None
    return (asked or body.clip_skip or CLIP_FROM) - CLIP_FROM


def with_infotext(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body with the fields that were not given filled from its `infotext`, as A1111 1.9 does."""
    text = body.get("infotext")
    if not isinstance(text, str) or not text.strip():
        return body
    read = infotext.request_fields(infotext.parse(text))
    filled = {_INFOTEXT_FIELDS[name]: value for name, value in read.items() if name in _INFOTEXT_FIELDS}
    if find_sampler(str(filled.get("sampler_name", ""))) is None and not parse_scheduler(
        str(filled.get("sampler_name", ""))
    ):
        filled.pop("sampler_name", None)
    return {**filled, **body}
