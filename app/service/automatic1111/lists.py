"""AUTOMATIC1111's lists, options, png-info and extras: what its clients ask at their start and around a picture."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil
from flask import Blueprint, Response, jsonify

from app.catalog import LoraFile, ModelEntry
from app.core.errors import AtelierError, FieldError, InvalidRequest
from app.core.samplers import SAMPLERS
from app.picture import infotext
from app.picture.png import inspect
from app.picture.resize import MAX_PIXELS, METHODS, resize
from app.service.automatic1111.features import EXTRAS, asked_for
from app.service.automatic1111.generation import Callers, ChosenModel
from app.service.automatic1111.translate import sampler_rows, schedule_rows, to_model
from app.service.foreign.bodies import json_object
from app.service.foreign.jobs import load_model
from app.service.http.callers import program, seat
from app.service.installed import check_installed, installed_entries
from app.service.parts import Parts

EMPTY_LISTS = ("sd-vae", "sd-modules", "prompt-styles", "face-restorers", "hypernetworks",
               "realesrgan-models", "extensions", "script-info")  # fmt: skip
MAX_EXTRA_IMAGES = 16
NOTHING_TO_DO = ("refresh-checkpoints", "refresh-vae", "refresh-loras", "refresh-embeddings")


def add_lists(blueprint: Blueprint, parts: Parts) -> None:
    """The routes that list things. What Atelier has none of is an empty list, not a 404."""
    answers: dict[str, Any] = {name: [] for name in EMPTY_LISTS} | {
        "samplers": sampler_rows(SAMPLERS),
        "schedulers": schedule_rows(),
        "upscalers": [_upscaler(name) for name in ("None", *METHODS)],
        "latent-upscale-modes": [{"name": "Latent"}],
        "scripts": {"txt2img": [], "img2img": []},
        "embeddings": {"loaded": {}, "skipped": {}},
        "cmd-flags": {"api": True, "nowebui": True},
    }
    for name, answer in answers.items():
        blueprint.add_url_rule(f"/sdapi/v1/{name}", name, _constant(answer))

    @blueprint.get("/sdapi/v1/sd-models")
    def sd_models() -> Response:
        return jsonify([from_model(entry) for entry in installed_entries(parts)])

    @blueprint.get("/sdapi/v1/loras")
    def loras() -> Response:
        return jsonify([_lora(lora, parts.catalog.folder) for lora in parts.catalog.loras()])

    @blueprint.get("/sdapi/v1/memory")
    def memory() -> Response:
        ram = psutil.virtual_memory()
        return jsonify({"ram": {"free": ram.available, "used": ram.used, "total": ram.total}, "cuda": _cuda(parts)})

    @blueprint.get("/internal/ping")
    def ping() -> Response:
        return jsonify({})

    for name in NOTHING_TO_DO:
        blueprint.add_url_rule(f"/sdapi/v1/{name}", name, _constant(None), methods=["POST"])


def add_options(blueprint: Blueprint, parts: Parts, callers: Callers, model: ChosenModel) -> None:
    """The options: one of them, the model, means something here; clients post whole option objects back."""

    @blueprint.get("/sdapi/v1/options")
    def get_options() -> Response:
        return jsonify(options(model))

    @blueprint.post("/sdapi/v1/options")
    def set_options() -> Response:
        key = to_model(json_object().get("sd_model_checkpoint"))
        if key:
            try:
                _switch(parts, model, key)
            except AtelierError:
                callers.asked_in_vain(program(), key)
                raise
            callers.asked_in_vain(program(), None)
        return jsonify(None)

    @blueprint.post("/sdapi/v1/unload-checkpoint")
    def unload() -> Response:
        parts.dispatcher.unload_model(model.key)
        return jsonify({})

    @blueprint.post("/sdapi/v1/reload-checkpoint")
    def reload() -> Response:
        load_model(parts, model.key)
        return jsonify({})


def _switch(parts: Parts, model: ChosenModel, key: str) -> None:
    if key != model.key:
        check_installed(parts, parts.catalog.get(key))
        load_model(parts, key)
        model.key = key


def add_extras(blueprint: Blueprint, parts: Parts) -> None:
    """png-info, and upscaling by Pillow's filters."""

    @blueprint.post("/sdapi/v1/png-info")
    def png_info() -> Response:
        found = inspect(picture_of(json_object(), "image"))
        text = found.parameters or ""
        return jsonify({"info": text, "items": dict(found.texts), "parameters": infotext.parse(text) if text else {}})

    @blueprint.post("/sdapi/v1/extra-single-image")
    def extra_single_image() -> Response:
        body = json_object()
        picture = picture_of(body, "image")
        body["image"] = None  # as text it is larger than the picture itself
        with seat(parts):
            return jsonify({"html_info": "", "image": _upscaled(body, [picture])[0]})

    @blueprint.post("/sdapi/v1/extra-batch-images")
    def extra_batch_images() -> Response:
        body = json_object()
        items = body.get("imageList")
        fits = isinstance(items, list) and len(items) <= MAX_EXTRA_IMAGES
        if not isinstance(items, list) or not fits or not all(isinstance(item, Mapping) for item in items):
            allowed = f"a list of at most {MAX_EXTRA_IMAGES} {{data, name}} is needed"
            shown = f"{len(items)} items" if isinstance(items, list) else items
            raise InvalidRequest([FieldError("imageList", shown, allowed)])
        with seat(parts):
            images = _upscaled(body, (picture_of(item, "data") for item in items))
            return jsonify({"html_info": "", "images": images})


def options(model: ChosenModel) -> dict[str, Any]:
    """What GET /sdapi/v1/options tells."""
    return {
        "sd_model_checkpoint": model.key,
        "sd_checkpoint_hash": "",
        "samples_format": "png",
        "samples_save": True,
        "enable_pnginfo": True,
        "grid_save": False,
        "return_grid": False,
        "CLIP_stop_at_last_layers": 1,
        "sd_vae": "Automatic",
        "show_progress_every_n_steps": 1,
        "outdir_samples": "",
    }


def from_model(entry: ModelEntry) -> dict[str, Any]:
    """One line of the model list. The title is what /options takes."""
    return {
        "title": entry.key,
        "model_name": entry.key,
        "hash": None,
        "sha256": None,
        "filename": entry.path or entry.repository or entry.key,
        "config": None,
    }


def _lora(lora: LoraFile, models_folder: Path) -> dict[str, Any]:
    """A line of the list. Where the models folder lies on this machine is nobody's business; `refused` is ours."""
    path = lora.file.relative_to(models_folder).as_posix()
    known = {"name": lora.name, "alias": lora.name, "path": path, "metadata": dict(lora.metadata)}
    return known | ({"refused": lora.refused} if lora.refused else {})


def picture_of(body: Mapping[str, Any], name: str) -> bytes:
    """The bytes of a base64 picture, with or without a `data:` prefix. Raises InvalidRequest. No URL is followed."""
    value = body.get(name)
    if isinstance(value, str):
        try:
            data = base64.b64decode(value.partition(",")[2] if value.startswith("data:") else value, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if data:
            return data
    shown = value[:40] if isinstance(value, str) else value
    raise InvalidRequest([FieldError(name, shown, "a picture in base64 is needed")])


def _upscaled(body: Mapping[str, Any], pictures: Iterable[bytes]) -> list[str]:
    """The pictures in base64, larger. Raises InvalidRequest if they have more than 16 million pixels together."""
    missing = asked_for(body, EXTRAS)
    if missing:
        raise InvalidRequest(missing)
    method = body.get("upscaler_1") or "None"
    if method not in ("None", *METHODS):
        allowed = ", ".join(("None", *METHODS))
        raise InvalidRequest([FieldError("upscaler_1", method, f"allowed is one of: {allowed}")])
    by_size = body.get("resize_mode") == 1
    names = ("upscaling_resize_w", "upscaling_resize_h") if by_size else ("upscaling_resize",)
    numbers = [_positive(body, name, 512 if by_size else 2) for name in names]
    size = (int(numbers[0]), int(numbers[1])) if by_size else numbers[0]
    crop = bool(body.get("upscaling_crop", True))
    done, pixels = [], 0
    for picture in pictures:
        large = resize(picture, size, None if method == "None" else method, crop=crop)
        pixels += int.from_bytes(large[16:20]) * int.from_bytes(large[20:24])  # of a PNG's first chunk
        if pixels > MAX_PIXELS:
            raise InvalidRequest([FieldError("imageList", "…", f"allowed are {MAX_PIXELS} pixels in all")])
        done.append(base64.b64encode(large).decode())
    return done


def _positive(body: Mapping[str, Any], name: str, default: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 8192:
        raise InvalidRequest([FieldError(name, value, "a number above 0 and up to 8192 is needed")])
    return float(value)


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
