"""AUTOMATIC1111's txt2img and infotexts into ours and back. Pure translation.

Source of the shapes: A1111 `modules/api/models.py`, `modules/processing.py` (`Processed.js`).
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.core.errors import FieldError, InvalidRequest
from app.core.samplers import SCHEDULE_TYPES, Choice, find_sampler, find_schedule, parse_scheduler
from app.core.schema import RANDOM_SEED, GenerationRequest, Job
from app.picture import infotext
from app.service.automatic1111.features import eta_comment, missing_features
from app.service.foreign.names import checked_request

NAMES = {
    "num_inference_steps": "steps",
    "guidance_scale": "cfg_scale",
    "scheduler": "sampler_name",
    "num_images": "batch_size",
    "model": "sd_model_checkpoint",
}
CLIP_FROM, MAX_CLIP = 1, 12  # the span of A1111's own setting
_INFOTEXT_FIELDS = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "num_inference_steps": "steps",
    "guidance_scale": "cfg_scale",
    "width": "width",
    "height": "height",
    "seed": "seed",
    "scheduler": "sampler_name",
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


def to_request(body: Mapping[str, Any], model: str) -> GenerationRequest:
    """The request of a txt2img body; `model` is the one chosen by /options. Fields that A1111 lacks are ignored.

    Absent fields have the model's own defaults. Raises InvalidRequest naming the fields as the caller does, those too
    that ask for a feature that is not here.
    """
    body = _with_infotext(body)
    errors = missing_features(body)
    batches = [_count(body, name, errors) for name in ("batch_size", "n_iter")]
    if errors:
        raise InvalidRequest(errors)
    return checked_request(
        {
            "prompt": "" if body.get("prompt") is None else body["prompt"],
            "negative_prompt": "" if body.get("negative_prompt") is None else body["negative_prompt"],
            "model": wanted_model(body) or model,
            "num_inference_steps": body.get("steps"),
            "guidance_scale": body.get("cfg_scale"),
            "width": body.get("width"),
            "height": body.get("height"),
            "seed": RANDOM_SEED if body.get("seed") is None else body["seed"],
            "num_images": batches[0] * batches[1],
            "scheduler": _sampling(body).value,
            "clip_skip": _clip_skip(body),
        },
        names=NAMES,
    )


def wanted_model(body: Mapping[str, Any]) -> str | None:
    """The model that the body itself asks for, in `override_settings`."""
    overrides = body.get("override_settings")
    return to_model(overrides.get("sd_model_checkpoint")) if isinstance(overrides, Mapping) else None


def to_model(title: Any) -> str | None:
    """The catalog key of a checkpoint title: A1111 adds ` [hash]` to a file's name. Raises InvalidRequest."""
    if title is not None and not isinstance(title, str):
        raise InvalidRequest([FieldError("sd_model_checkpoint", title, "a checkpoint's title is needed")])
    return title.partition(" [")[0] if title else None


@dataclass(frozen=True)
class MadeImage:
    """One picture of a finished job: its PNG bytes and the infotext inside it."""

    png: bytes
    infotext: str


def from_job(
    job: Job, images: Sequence[MadeImage], body: Mapping[str, Any], *, version: str, model_name: str
) -> dict[str, Any]:
    """The txt2img answer: raw base64 PNGs, the request echoed, and `info` as a JSON string. Grids never come first."""
    send = body.get("send_images", True)
    return {
        "images": [base64.b64encode(image.png).decode() for image in images] if send else [],
        "parameters": dict(body),
        "info": json.dumps(_info(job, images, body, version, model_name), ensure_ascii=False),
    }


def _info(
    job: Job, images: Sequence[MadeImage], body: Mapping[str, Any], version: str, model_name: str
) -> dict[str, Any]:
    request = job.request
    seeds = [image.seed for image in job.images] or [request.seed]
    count = len(seeds)
    choice = parse_scheduler(request.scheduler or "default")
    extra = {"Schedule type": choice.schedule.label} if choice and choice.schedule.name != "automatic" else {}
    comments = [_sampling(body).comment, eta_comment(body, choice)]
    comments += dict.fromkeys(note for image in job.images for note in image.notes)
    return {
        "prompt": request.prompt,
        "all_prompts": [request.prompt] * count,
        "negative_prompt": request.negative_prompt,
        "all_negative_prompts": [request.negative_prompt] * count,
        "seed": seeds[0],
        "all_seeds": seeds,
        "subseed": seeds[0],
        "all_subseeds": seeds,
        "subseed_strength": 0,
        "width": request.width,
        "height": request.height,
        "sampler_name": choice.sampler.name if choice and choice.sampler else "Automatic",
        "cfg_scale": request.guidance_scale,
        "steps": request.num_inference_steps,
        "batch_size": body.get("batch_size") or 1,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": model_name,
        "sd_model_hash": None,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": None,
        "extra_generation_params": extra,
        "index_of_first_image": 0,
        "infotexts": [image.infotext for image in images],
        "styles": [],
        "job_timestamp": job.created_at.strftime("%Y%m%d%H%M%S"),
        "clip_skip": request.clip_skip + CLIP_FROM,
        "is_using_inpainting_conditioning": False,
        "version": version,
        "comments": "\n".join(comment for comment in comments if comment),
        "job_id": job.id,
    }


@dataclass(frozen=True)
class ProgressView:
    """What /progress tells about one job. Idle is exactly `progress == 0` and `job_count == 0`: clients wait for it."""

    progress: float = 0.0
    eta_relative: float = 0.0
    job: str = ""
    job_count: int = 0
    step: int = 0
    steps: int = 0
    timestamp: str = "0"
    textinfo: str | None = None
    image: str | None = None
    state: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The body of GET /sdapi/v1/progress."""
        return {
            "progress": self.progress,
            "eta_relative": self.eta_relative,
            "state": {
                "skipped": False,
                "interrupted": False,
                "stopping_generation": False,
                "job": self.job,
                "job_count": self.job_count,
                "job_timestamp": self.timestamp,
                "job_no": 0,
                "sampling_step": self.step,
                "sampling_steps": self.steps,
            },
            "current_image": self.image,
            "textinfo": self.textinfo,
            "current_task": self.job or None,
        }


def to_progress(job: Job | None, preview: bytes | None) -> ProgressView:
    """The progress of an open job. Never 0 while there is one: a client that saw 0 would take it for idle."""
    if job is None or job.state.finished:
        return ProgressView()
    done = job.progress
    share = done.step / done.of if done and done.of and done.phase == "denoising" else 0.0
    return ProgressView(
        progress=min(max(share, 0.01), 0.99),
        eta_relative=job.eta_s or 0.0,
        job=job.id,
        job_count=job.request.num_images,
        step=done.step if done else 0,
        steps=job.request.num_inference_steps or 0,
        timestamp=job.created_at.strftime("%Y%m%d%H%M%S"),
        textinfo="In queue" if job.position else (done.phase if done else None),
        image=base64.b64encode(preview).decode() if preview else None,
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


def _sampling(body: Mapping[str, Any]) -> Sampling:
    sampler, schedule = body.get("sampler_name") or body.get("sampler_index"), body.get("scheduler")
    if not isinstance(sampler, str | None):
        raise InvalidRequest([FieldError("sampler_name", sampler, "a sampler's name is needed")])
    if not isinstance(schedule, str | None):
        raise InvalidRequest([FieldError("scheduler", schedule, "a schedule type's name is needed")])
    return to_sampling(sampler, schedule)


def _clip_skip(body: Mapping[str, Any]) -> int:
    """A1111 counts the layer that is read from the end, 1 = the last; we count those that are left out.

    SD.Next has a field of its own for it; clients send both.
    """
    overrides = body.get("override_settings") or {}
    asked = {"override_settings.CLIP_stop_at_last_layers": overrides.get("CLIP_stop_at_last_layers"),
             "clip_skip": body.get("clip_skip")}  # fmt: skip
    for name, value in asked.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not CLIP_FROM <= value <= MAX_CLIP:
            raise InvalidRequest([FieldError(name, value, f"a whole number from {CLIP_FROM} to {MAX_CLIP} is needed")])
        return value - CLIP_FROM
    return 0


def _count(body: Mapping[str, Any], name: str, errors: list[FieldError]) -> int:
    value = body.get(name)
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        errors.append(FieldError(name, value, "a whole number of at least 1 is needed"))
        return 1
    return value


def _with_infotext(body: Mapping[str, Any]) -> Mapping[str, Any]:
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
