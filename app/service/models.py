"""Models: the catalog, what is installed and loaded, load and unload."""

import os
from pathlib import Path
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from app.catalog import ModelEntry
from app.core.schema import JobError
from app.service.answers import answers
from app.service.inputs import ModelPath
from app.service.keys import Scope
from app.service.model_events import ModelProgress, state_of
from app.service.parts import Parts, current_parts
from app.service.replies import reply
from app.service.security import needs

TAG = Tag(name="models", description="What can draw.")


class Model(ModelEntry):
    """A catalog entry and how the model is right now."""

    default: bool = Field(False, description="True for the model that is used when a request names none.")
    installed: bool = Field(False, description="True if its files are on this machine.")
    state: str = Field("unloaded", description="unloaded, waiting, loading, loaded, unloading or failed.")
    progress: ModelProgress | None = Field(None, description="Set while it is loading.")
    error: JobError | None = Field(None, description="Why loading it failed.")


class ModelList(BaseModel):
    """All models."""

    items: tuple[Model, ...]
    next: str | None = None


def list_models() -> Response:
    """The catalog: every model with its defaults, its ranges and how it is"""
    parts = current_parts()
    return reply(ModelList(items=tuple(_shown(parts, entry) for entry in parts.catalog.entries())))


def get_model(path: ModelPath) -> Response:
    """One model"""
    parts = current_parts()
    return reply(_shown(parts, parts.catalog.get(path.key)))


@needs(Scope.ADMIN)
def load_model(path: ModelPath) -> Response:
    """Load a model into memory

    Answers at once; `GET /api/models/{key}/events` tells how far it is.
    """
    parts = current_parts()
    entry = parts.catalog.get(path.key)
    parts.dispatcher.load_model(entry.key)
    return reply(_shown(parts, entry), 202)


@needs(Scope.ADMIN)
def unload_model(path: ModelPath) -> Response:
    """Free a model's memory"""
    parts = current_parts()
    entry = parts.catalog.get(path.key)
    parts.dispatcher.unload_model(entry.key)
    return reply(_shown(parts, entry))


def _shown(parts: Parts, entry: ModelEntry) -> Model:
    state = state_of(parts, entry.key)
    values: dict[str, Any] = dict(entry)
    return Model.model_construct(
        **values,
        default=entry.key == parts.catalog.default_key,
        installed=_installed(parts, entry),
        state=state.state,
        progress=ModelProgress(phase=state.phase, done=state.done, of=state.of) if state.state == "loading" else None,
        error=state.error,
    )


def _installed(parts: Parts, entry: ModelEntry) -> bool:
    local = parts.catalog.installed_path(entry)
    if local is not None:
        return local.exists()
    return any((hub_cache() / f"models--{(entry.repository or '').replace('/', '--')}" / "snapshots").glob("*/*.json"))


def hub_cache() -> Path:
    """Where huggingface_hub keeps what it downloaded. Its own import would cost the service 0.3 s and more memory."""
    home = os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE", Path(home) / "hub"))


def blueprint() -> APIBlueprint:
    """The addresses of this file."""
    api = APIBlueprint("models", __name__, abp_tags=[TAG])
    api.get("/api/models", responses=answers({200: ModelList}))(list_models)
    api.get("/api/models/<key>", responses=answers({200: Model}, 404, 422))(get_model)
    api.post("/api/models/<key>/load", responses=answers({202: Model}, 404, 409, 422))(load_model)
    api.post("/api/models/<key>/unload", responses=answers({200: Model}, 404, 409, 422))(unload_model)
    return api
