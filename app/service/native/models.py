"""Models: the catalog, what is installed and loaded; load and unload, download and clean."""

from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from app.catalog import ModelEntry, allowed_schedulers, hub_entry, kinds_of, references_of, tasks_of
from app.core.errors import ModelRefused
from app.core.models import Download, EmbeddingInfo, LoraInfo, ModelInfo, ModelProgress, Presence
from app.core.names import shown_name
from app.core.schema import JobError
from app.core.styles import Style
from app.service.http.documented import documented
from app.service.http.json_reply import reply
from app.service.http.parameters import ModelPath
from app.service.installed import check_installed, files_of
from app.service.model_events import entry_of, state_of
from app.service.parts import Parts, current_parts
from app.service.verdicts import seconds_a_picture, sketch_steps

TAG = Tag(name="models", description="What can draw.")


class Cleaned(BaseModel):
    """What was removed."""

    key: str
    freed_bytes: int


class SkippedFile(BaseModel):
    """Something in the models folder that cannot be used, though it may be meant to be."""

    name: str
    reason: str


class ModelList(BaseModel):
    """All models."""

    items: tuple[ModelInfo, ...]
    next: str | None = None
    skipped: tuple[SkippedFile, ...] = Field((), description="What in the models folder could not be looked at.")
    problem: JobError | None = Field(
        None, description="Set while the catalog's file cannot be read: what is shown is old."
    )


class LoraList(BaseModel):
    """All LoRAs."""

    items: tuple[LoraInfo, ...]


class EmbeddingList(BaseModel):
    """All embeddings."""

    items: tuple[EmbeddingInfo, ...]


class StyleList(BaseModel):
    """All styles."""

    items: tuple[Style, ...]
    skipped: tuple[SkippedFile, ...] = Field((), description="Files of styles that cannot be used.")


def list_models() -> Response:
    """The catalog: every model with its defaults, its ranges and how it is"""
    parts = current_parts()
    entries, skipped = parts.catalog.look()
    known = {entry.key for entry in entries}
    entries += [hub_entry(key) for key in parts.downloads.states() if key not in known]
    problem = parts.catalog.problem()
    return reply(
        ModelList(
            items=tuple(_shown(parts, entry) for entry in entries),
            skipped=tuple(SkippedFile(name=item.name, reason=item.reason) for item in skipped),
            problem=JobError(**problem.as_dict()) if problem else None,
        )
    )


def list_loras() -> Response:
    """The LoRAs of the models folder, what to say for each, and the models that could use it"""
    catalog = current_parts().catalog
    entries = [entry for entry in catalog.entries() if not entry.refused]
    found = [
        LoraInfo(
            name=lora.name,
            words=tuple(shown_name(word) for word in lora.words()),
            models=tuple(entry.key for entry in entries if lora.fits(entry.pipeline)),
            refused=lora.refused,
        )
        for lora in catalog.loras()
    ]
    return reply(LoraList(items=tuple(found)))


def list_embeddings() -> Response:
    """The textual inversion embeddings of the models folder, and the models that could use each"""
    catalog = current_parts().catalog
    entries = [entry for entry in catalog.entries() if not entry.refused]
    found = [
        EmbeddingInfo(
            name=file.name,
            vectors=file.vectors,
            models=tuple(entry.key for entry in entries if file.fits(entry.pipeline)),
            refused=file.refused,
        )
        for file in catalog.embeddings()
    ]
    return reply(EmbeddingList(items=tuple(found)))


def list_styles() -> Response:
    """The styles that a request may name, and what each adds to the prompts"""
    found = current_parts().catalog.styles()
    skipped = tuple(SkippedFile(name=file.name, reason=file.reason) for file in found.skipped)
    return reply(StyleList(items=tuple(found.known.values()), skipped=skipped))


def get_model(path: ModelPath) -> Response:
    """One model"""
    parts = current_parts()
    return reply(_shown(parts, entry_of(parts, path.key)))


def load_model(path: ModelPath) -> Response:
    """Load a model into memory

    Answers at once; `GET /api/models/{key}/events` tells how far it is. 409 if it is not on this machine.
    """
    parts = current_parts()
    entry = parts.catalog.get(path.key)
    check_installed(parts, entry)
    parts.dispatcher.load_model(entry.key)
    return reply(_shown(parts, entry), 202)


def unload_model(path: ModelPath) -> Response:
    """Free a model's memory"""
    parts = current_parts()
    entry = parts.catalog.get(path.key)
    parts.dispatcher.unload_model(entry.key)
    return reply(_shown(parts, entry))


def download_model(path: ModelPath) -> Response:
    """Download a model from the hub, or go on with it

    `key` may be any hub id of a diffusers model (`owner/name`). Answers at once; `GET /api/models/{key}` and its events
    tell how far it is. Downloads are done one after the other. Nothing happens if the model is complete.
    """
    parts = current_parts()
    entry = entry_of(parts, path.key, any_hub_id=True)
    parts.downloads.start(entry.key, entry)
    return reply(_shown(parts, entry), 202)


def cancel_download(path: ModelPath) -> Response:
    """Stop a download, or forget that one failed; what arrived is kept"""
    parts = current_parts()
    entry = entry_of(parts, path.key)
    parts.downloads.cancel(entry.key)
    return reply(_shown(parts, entry))


def clean_model(path: ModelPath) -> Response:
    """Remove what interrupted downloads of a model left; a complete model stays"""
    parts = current_parts()
    entry = entry_of(parts, path.key)
    freed = parts.downloads.clean(entry.key, entry)
    return reply(Cleaned(key=entry.key, freed_bytes=freed))


def _shown(parts: Parts, entry: ModelEntry) -> ModelInfo:
    state = state_of(parts, entry.key)
    files = files_of(parts, entry)
    download = parts.downloads.states().get(entry.key)
    refused = JobError(code=ModelRefused.code, message=entry.refused) if entry.refused else None
    pace = parts.jobs.pace(entry.key)
    values: dict[str, Any] = entry.facts() | {"schedulers": allowed_schedulers(entry)}
    return ModelInfo.model_construct(
        **values,
        default=entry.key == parts.catalog.default_key,
        installed=files.presence is Presence.COMPLETE,
        files=files.presence,
        bytes_on_disk=files.done,
        download=Download.model_validate(download, from_attributes=True) if download else None,
        state="failed" if refused else state.state,
        progress=ModelProgress(phase=state.phase, done=state.done, of=state.of) if state.state == "loading" else None,
        error=refused or state.error,
        ranges=parts.catalog.ranges(entry),
        vaes=parts.catalog.vaes(entry),
        tasks=tasks_of(entry),
        kinds=kinds_of(entry),
        references=references_of(entry),
        verdict=parts.verdicts.of(entry),
        seconds_a_picture=seconds_a_picture(pace, entry),
        sketch_steps=sketch_steps(pace, parts.sketches, entry),
    )


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("models", __name__, abp_tags=[TAG])
    api.get("/api/models", responses=documented({200: ModelList}))(list_models)
    api.get("/api/loras", responses=documented({200: LoraList}))(list_loras)
    api.get("/api/embeddings", responses=documented({200: EmbeddingList}))(list_embeddings)
    api.get("/api/styles", responses=documented({200: StyleList}))(list_styles)
    api.get("/api/models/<model:key>", responses=documented({200: ModelInfo}, 404, 422))(get_model)
    api.post("/api/models/<model:key>/load", responses=documented({202: ModelInfo}, 404, 409, 422))(load_model)
    api.post("/api/models/<model:key>/unload", responses=documented({200: ModelInfo}, 404, 409, 422))(unload_model)
    api.post("/api/models/<model:key>/download", responses=documented({202: ModelInfo}, 404, 409, 422))(download_model)
    api.delete("/api/models/<model:key>/download", responses=documented({200: ModelInfo}, 404, 422))(cancel_download)
    api.post("/api/models/<model:key>/clean", responses=documented({200: Cleaned}, 404, 409, 422))(clean_model)
    return api
