"""AUTOMATIC1111's lists, options, png-info and extras: what its clients ask at their start and around a picture."""

from pathlib import Path
from typing import Any

import psutil
from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint

from app.catalog import EmbeddingFile, LoraFile, ModelEntry
from app.core.errors import AtelierError
from app.core.samplers import SAMPLERS
from app.picture.resize import METHODS
from app.service.automatic1111.answers import (
    A1111AllOptions,
    A1111Empty,
    A1111Fixed,
    A1111Lora,
    A1111Loras,
    A1111Memory,
    A1111Model,
    A1111Models,
)
from app.service.automatic1111.bodies import (
    A1111Options,
)
from app.service.automatic1111.generation import Callers, ChosenModel, answers
from app.service.automatic1111.translate import sampler_rows, schedule_rows, to_model
from app.service.foreign.bodies import documented_body, read
from app.service.foreign.jobs import load_model
from app.service.http.callers import program
from app.service.http.json_reply import reply
from app.service.installed import check_installed, installed_entries, installed_upscalers
from app.service.parts import Parts

EMPTY_LISTS = ("sd-modules", "face-restorers", "hypernetworks",
               "realesrgan-models", "extensions", "script-info")  # fmt: skip
NOTHING_TO_DO = ("refresh-checkpoints", "refresh-vae", "refresh-loras", "refresh-embeddings")


def add_lists(api: APIBlueprint, parts: Parts, model: ChosenModel) -> None:
    """The routes that list things. What Atelier has none of is an empty list, not a 404."""
    fixed: dict[str, Any] = {name: [] for name in EMPTY_LISTS} | {
        "samplers": sampler_rows(SAMPLERS),
        "schedulers": schedule_rows(),
        "latent-upscale-modes": [{"name": "Latent"}],
        "scripts": {"txt2img": [], "img2img": []},
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

    def prompt_styles() -> Response:
        """The styles that `styles` may name"""
        return jsonify([style.model_dump() for style in parts.catalog.styles().known.values()])

    def embeddings() -> Response:
        """The embeddings that the chosen model reads, and the others"""
        pipeline, found = parts.catalog.get(model.key).pipeline, parts.catalog.embeddings()
        told = {name: {file.name: _embedding(file) for file in found if file.fits(pipeline) == fits}
                for name, fits in (("loaded", True), ("skipped", False))}  # fmt: skip
        return jsonify(told)

    def sd_vae() -> Response:
        """The VAEs that the chosen model may have in the place of its own"""
        names = parts.catalog.vaes(parts.catalog.get(model.key))
        return jsonify([{"model_name": name, "filename": name} for name in names])

    def upscalers() -> Response:
        """What makes pictures larger: filters, and the models that are installed for it"""
        return jsonify([_upscaler(name) for name in upscaler_names(parts)])

    def memory() -> Response:
        """Bytes of RAM, and of the first GPU"""
        ram = psutil.virtual_memory()
        return reply(A1111Memory(ram={"free": ram.available, "used": ram.used, "total": ram.total}, cuda=_cuda(parts)))

    def ping() -> Response:
        """Alive?"""
        return reply(A1111Empty())

    api.get("/sdapi/v1/sd-models", responses=answers({200: A1111Models}))(sd_models)
    api.get("/sdapi/v1/prompt-styles", responses=answers({200: A1111Fixed}))(prompt_styles)
    api.get("/sdapi/v1/embeddings", responses=answers({200: A1111Fixed}, 404))(embeddings)
    api.get("/sdapi/v1/sd-vae", responses=answers({200: A1111Fixed}, 404))(sd_vae)
    api.get("/sdapi/v1/upscalers", responses=answers({200: A1111Fixed}))(upscalers)
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


def from_model(entry: ModelEntry) -> A1111Model:
    """One line of the model list."""
    return A1111Model(title=entry.key, model_name=entry.key, filename=entry.path or entry.repository or entry.key)


def _lora(lora: LoraFile, models_folder: Path) -> A1111Lora:
    """A line of the list. Where the models folder lies on this machine is nobody's business."""
    path = lora.file.relative_to(models_folder).as_posix()
    refused = {"refused": lora.refused} if lora.refused else {}
    return A1111Lora(name=lora.name, alias=lora.name, path=path, metadata=dict(lora.metadata), **refused)


def _embedding(file: EmbeddingFile) -> dict[str, Any]:
    shape = file.widths[0] if file.widths else 0
    return {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": shape, "vectors": file.vectors}


def _upscaler(name: str) -> dict[str, Any]:
    return {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4}


def upscaler_names(parts: Parts) -> list[str]:
    """Every `upscaler_1` that is taken."""
    return ["None", *METHODS, *(entry.key for entry in installed_upscalers(parts))]


def _constant(answer: Any) -> Any:
    return lambda: jsonify(answer)


def _cuda(parts: Parts) -> dict[str, Any]:
    devices = [status for status in parts.dispatcher.status() if status.device.startswith("cuda")]
    if not devices or devices[0].memory_total_bytes is None:
        return {"error": "unavailable"}
    total, used = devices[0].memory_total_bytes, devices[0].memory_used_bytes or 0
    return {"system": {"free": total - used, "used": used, "total": total}, "events": {"retries": 0, "oom": 0}}
