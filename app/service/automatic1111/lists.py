"""AUTOMATIC1111's lists, options, png-info and extras: what its clients ask at their start and around a picture."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint

from app.catalog import LoraFile, ModelEntry
from app.core.errors import AtelierError, FieldError, InvalidRequest
from app.core.samplers import SAMPLERS
from app.picture import infotext, outside
from app.picture.png import inspect
from app.picture.resize import MAX_PIXELS, METHODS, resize
from app.service.automatic1111.answers import (
    A1111AllOptions,
    A1111Empty,
    A1111Enlarged,
    A1111EnlargedBatch,
    A1111Fixed,
    A1111Info,
    A1111Lora,
    A1111Loras,
    A1111Memory,
    A1111Model,
    A1111Models,
)
from app.service.automatic1111.bodies import (
    MAX_SIDE,
    A1111Options,
    A1111PngInfo,
    A1111Upscale,
    A1111UpscaleBatch,
    A1111Upscaling,
)
from app.service.automatic1111.generation import Callers, ChosenModel, answers
from app.service.automatic1111.translate import sampler_rows, schedule_rows, to_model
from app.service.foreign.bodies import documented_body, read
from app.service.foreign.jobs import load_model
from app.service.http.callers import program, seat
from app.service.http.json_reply import reply
from app.service.installed import check_installed, installed_entries
from app.service.parts import Parts

EMPTY_LISTS = ("sd-vae", "sd-modules", "prompt-styles", "face-restorers", "hypernetworks",
               "realesrgan-models", "extensions", "script-info")  # fmt: skip
NOTHING_TO_DO = ("refresh-checkpoints", "refresh-vae", "refresh-loras", "refresh-embeddings")


def add_lists(api: APIBlueprint, parts: Parts) -> None:
    """The routes that list things. What Atelier has none of is an empty list, not a 404."""
    fixed: dict[str, Any] = {name: [] for name in EMPTY_LISTS} | {
        "samplers": sampler_rows(SAMPLERS),
        "schedulers": schedule_rows(),
        "upscalers": [_upscaler(name) for name in ("None", *METHODS)],
        "latent-upscale-modes": [{"name": "Latent"}],
        "scripts": {"txt2img": [], "img2img": []},
        "embeddings": {"loaded": {}, "skipped": {}},
        "cmd-flags": {"api": True, "nowebui": True},
    }
    for name, value in fixed.items():
        says = "Always empty" if not value else "Always the same"
        api.get(f"/sdapi/v1/{name}", endpoint=name, summary=says, responses=answers({200: A1111Fixed}))(
            _constant(value)
        )

    def sd_models() -> Response:
        """The models that are installed"""
        return reply(A1111Models([from_model(entry) for entry in installed_entries(parts)]))

    def loras() -> Response:
        """The LoRAs of the models folder"""
        found = A1111Loras([_lora(lora, parts.catalog.folder) for lora in parts.catalog.loras()])
        return jsonify(found.model_dump(exclude_unset=True))

    def memory() -> Response:
        """Bytes of RAM, and of the first GPU"""
        ram = psutil.virtual_memory()
        return reply(A1111Memory(ram={"free": ram.available, "used": ram.used, "total": ram.total}, cuda=_cuda(parts)))

    def ping() -> Response:
        """Alive?"""
        return reply(A1111Empty())

    api.get("/sdapi/v1/sd-models", responses=answers({200: A1111Models}))(sd_models)
    api.get("/sdapi/v1/loras", responses=answers({200: A1111Loras}))(loras)
    api.get("/sdapi/v1/memory", responses=answers({200: A1111Memory}))(memory)
    api.get("/internal/ping", responses=answers({200: A1111Empty}))(ping)
    for name in NOTHING_TO_DO:
        nothing = api.post(
            f"/sdapi/v1/{name}", endpoint=name, summary="Nothing to do", responses=answers({200: A1111Fixed})
        )
        nothing(_constant(None))


def add_options(api: APIBlueprint, parts: Parts, callers: Callers, model: ChosenModel) -> None:
    """The options: one of them, the model, means something here; clients post whole option objects back."""

    def get_options() -> Response:
        """The options"""
        return reply(A1111AllOptions(sd_model_checkpoint=model.key))

    def set_options() -> Response:
        """Choose the model that draws, and load it"""
        key = to_model(read(A1111Options).sd_model_checkpoint)
        if key:
            try:
                _switch(parts, model, key)
            except AtelierError:
                callers.asked_in_vain(program(), key)
                raise
            callers.asked_in_vain(program(), None)
        return jsonify(None)

    def unload() -> Response:
        """Free the model's memory"""
        parts.dispatcher.unload_model(model.key)
        return reply(A1111Empty())

    def reload() -> Response:
        """Load the model"""
        load_model(parts, model.key)
        return reply(A1111Empty())

    api.get("/sdapi/v1/options", responses=answers({200: A1111AllOptions}))(get_options)
    body = documented_body(api, A1111Options)
    chosen = answers({200: A1111Fixed}, 404, 409, 413, 422, 499, 500, 507)
    api.post("/sdapi/v1/options", responses=chosen, openapi_extensions=body)(set_options)
    api.post("/sdapi/v1/unload-checkpoint", responses=answers({200: A1111Empty}, 404, 409))(unload)
    loaded = answers({200: A1111Empty}, 404, 409, 499, 500, 507)
    api.post("/sdapi/v1/reload-checkpoint", responses=loaded)(reload)


def _switch(parts: Parts, model: ChosenModel, key: str) -> None:
    if key != model.key:
        check_installed(parts, parts.catalog.get(key))
        load_model(parts, key)
        model.key = key


def add_extras(api: APIBlueprint, parts: Parts) -> None:
    """png-info, and upscaling by Pillow's filters."""

    def png_info() -> Response:
        """What a picture file says about how it was made"""
        found = inspect(read(A1111PngInfo).image)
        text = found.parameters or ""
        parameters = infotext.parse(text) if text else {}
        return reply(A1111Info(info=text, items=dict(found.texts), parameters=parameters))

    def extra_single_image() -> Response:
        """Enlarge a picture"""
        body = read(A1111Upscale)
        with seat(parts):
            [image] = _upscaled(body, [body.image])
        return _html_info_and(b'"image": "', image, b'"')

    def extra_batch_images() -> Response:
        """Enlarge pictures"""
        body = read(A1111UpscaleBatch)
        with seat(parts):
            images = _upscaled(body, [item.data for item in body.imageList])
        between = [part for image in images for part in (b'", "', image)][1:]
        return _html_info_and(b'"images": ', b'["' if images else b"[", *between, b'"]' if images else b"]")

    told = answers({200: A1111Info}, 413, 422)
    api.post("/sdapi/v1/png-info", responses=told, openapi_extensions=documented_body(api, A1111PngInfo))(png_info)
    one, body = answers({200: A1111Enlarged}, 413, 422), documented_body(api, A1111Upscale)
    api.post("/sdapi/v1/extra-single-image", responses=one, openapi_extensions=body)(extra_single_image)
    many, body = answers({200: A1111EnlargedBatch}, 413, 422), documented_body(api, A1111UpscaleBatch)
    api.post("/sdapi/v1/extra-batch-images", responses=many, openapi_extensions=body)(extra_batch_images)


def from_model(entry: ModelEntry) -> A1111Model:
    """One line of the model list."""
    return A1111Model(title=entry.key, model_name=entry.key, filename=entry.path or entry.repository or entry.key)


def _lora(lora: LoraFile, models_folder: Path) -> A1111Lora:
    """A line of the list. Where the models folder lies on this machine is nobody's business."""
    path = lora.file.relative_to(models_folder).as_posix()
    refused = {"refused": lora.refused} if lora.refused else {}
    return A1111Lora(name=lora.name, alias=lora.name, path=path, metadata=dict(lora.metadata), **refused)


def _html_info_and(*parts: bytes) -> Response:
    """The answer as it is sent. One JSON text of all would be there three times before the first byte goes."""
    return Response([b'{"html_info": "", ', *parts, b"}\n"], mimetype="application/json")


def _upscaled(body: A1111Upscaling, pictures: Iterable[bytes]) -> list[bytes]:
    """The pictures in base64, larger.

    Raises InvalidRequest if they have more than 16 million pixels together, before or after.
    """
    method = body.upscaler_1 or "None"
    by_size = body.resize_mode == 1
    names = ("upscaling_resize_w", "upscaling_resize_h") if by_size else ("upscaling_resize",)
    numbers = [_positive(body, name) for name in names]
    size = (int(numbers[0]), int(numbers[1])) if by_size else numbers[0]
    how = None if method == "None" else method
    done: list[bytes] = []
    before = after = 0
    for picture in pictures:
        file = outside.read(picture)
        before += file.width * file.height
        large = resize(picture, size, how, crop=body.upscaling_crop) if before <= MAX_PIXELS else b""
        after += int.from_bytes(large[16:20]) * int.from_bytes(large[20:24])  # of a PNG's first chunk
        if max(before, after) > MAX_PIXELS:
            raise InvalidRequest([FieldError("imageList", "…", f"allowed are {MAX_PIXELS} pixels in all")])
        done.append(base64.b64encode(large))
    return done


def _positive(body: A1111Upscaling, name: str) -> float:
    """The number of a field that is used: the others may say what they like."""
    value: float | None = getattr(body, name)
    if value is None or not 0 < value <= MAX_SIDE:
        raise InvalidRequest([FieldError(name, value, f"a number above 0 and up to {MAX_SIDE} is needed")])
    return value


def _upscaler(name: str) -> dict[str, Any]:
    return {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4}


def _constant(answer: Any) -> Any:
    return lambda: jsonify(answer)


def _cuda(parts: Parts) -> dict[str, Any]:
    devices = [status for status in parts.dispatcher.status() if status.device.startswith("cuda")]
    if not devices or devices[0].memory_total_bytes is None:
        return {"error": "unavailable"}
    total, used = devices[0].memory_total_bytes, devices[0].memory_used_bytes or 0
    return {"system": {"free": total - used, "used": used, "total": total}, "events": {"retries": 0, "oom": 0}}
