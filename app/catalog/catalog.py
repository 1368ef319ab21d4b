"""The models of one models folder, and requests that are filled in or refused with what is allowed."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.catalog.control import control_models
from app.catalog.decoders import decoder_problem
from app.catalog.enlarging import hires_upscaler
from app.catalog.entry import ModelEntry, allowed_schedulers
from app.catalog.own import SingleFiles, Skipped, hub_models, own_models
from app.catalog.ranges import ranges
from app.catalog.styles import Styles, read_styles
from app.catalog.table import Table
from app.catalog.tasks import WITH_STRENGTH, strength_of, task_errors
from app.catalog.vaes import vae_errors, vaes_of
from app.catalog.written import as_stored
from app.core.control import Preprocessor
from app.core.errors import CatalogUnreadable, FieldError, InvalidRequest, ModelRefused, UnknownModel
from app.core.hires import result_size
from app.core.models import Presence, Span
from app.core.prompt_syntax import Prompt
from app.core.samplers import DEFAULT, SAMPLERS, parse_scheduler
from app.core.schema import RANDOM_SEED, GenerationRequest
from app.core.settings import Settings
from app.core.task import Task
from app.families import OF_TOKENS, family_of
from app.hub.disk import on_disk
from app.weights.embeddings import EmbeddingFile, embedding_files, look_at_embedding
from app.weights.loras import LoraFile, check_lora_tags, look_at_lora, lora_files

CATALOG_FILE = "catalog.toml"


@dataclass(frozen=True)
class Resolved:
    """A request that can be drawn as it stands, with its prompt as it was read and its model as it is now."""

    request: GenerationRequest
    prompt: Prompt
    entry: ModelEntry


class Catalog:
    """The models of one models folder. Reads the disk at each call, so a model dropped in appears by itself."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.models_folder
        self.default_key = settings.default_model
        self._max_images = settings.max_images
        self._max_pixels = settings.max_pixels
        self._max_inputs = settings.max_inputs
        self._files = SingleFiles()
        self._table = Table(self.folder / CATALOG_FILE)

    def entries(self) -> list[ModelEntry]:
        """All models: the catalog's in its order, the user's own by name, then what else the hub's cache has.

        One that cannot be used says why in `refused`. Never raises for what is in a file.
        """
        return self.look()[0]

    def look(self) -> tuple[list[ModelEntry], list[Skipped]]:
        """All models, and what in the models folder is none because it cannot be looked at or named."""
        listed = self._table.entries()
        taken = {name for entry in listed for name in (entry.path, entry.config, entry.transformer) if name}
        known = {name for entry in listed for name in (entry.key, entry.repository) if name}
        own = list(own_models(self.folder, taken, self._files))
        entries = [entry for entry in (*own, *hub_models()) if isinstance(entry, ModelEntry)]
        skipped = [item for item in own if isinstance(item, Skipped)]
        return listed + [entry for entry in entries if entry.key not in known], skipped

    def problem(self) -> CatalogUnreadable | None:
        """Why the catalog's file is not what is used now; None if all is well."""
        self._table.entries()
        return self._table.problem

    def get(self, key: str) -> ModelEntry:
        """The entry of one key.

        Raises UnknownModel, which names the keys there are, and CatalogUnreadable if the file that may list it cannot
        be read now.
        """
        entries: Sequence[ModelEntry] = ()
        for look in (self._table.entries, self.entries):  # the disk is looked through only for what is not listed
            entries = look()
            for entry in entries:
                if entry.key == key:
                    return entry
        if self._table.problem is not None:
            raise self._table.problem
        known = ", ".join(entry.key for entry in entries)
        raise UnknownModel(f"There is no model {key!r}. Known models: {known}.")

    def seer(self, preprocessor: Preprocessor) -> ModelEntry:
        """The model that is a preprocessor: the first that is on this machine, else the first of the catalog.

        Raises UnknownModel if there is none.
        """
        found = [entry for entry in self.entries() if family_of(entry.pipeline).sees is preprocessor]
        usable = [entry for entry in found if not entry.refused]
        if not usable:
            raise UnknownModel(f"There is no model for the preprocessor {preprocessor}.")
        return next((entry for entry in usable if self._is_here(entry)), usable[0])

    def resolve(self, request: GenerationRequest) -> GenerationRequest:
        """The same request with the model's defaults filled in and the seed drawn, ready to be stored.

        Raises what `resolve_with_entry` raises.
        """
        return self.resolve_with_entry(request).request

    def resolve_with_entry(self, request: GenerationRequest) -> Resolved:
        """`resolve`, with what was looked at for it.

        Raises InvalidRequest naming every field outside the model's ranges, UnknownModel's text included as
        field `model`; ModelRefused for a model that cannot be used; CatalogUnreadable. Nothing is rounded or clipped.
        """
        try:
            entry = self.get(request.model or self.default_key)
        except UnknownModel as error:
            known = "allowed is one of: " + ", ".join(item.key for item in self.entries())
            raise InvalidRequest([FieldError("model", request.model or self.default_key, known)]) from error
        return self._resolved(request, entry)

    def resolve_for(self, request: GenerationRequest, entry: ModelEntry) -> Resolved:
        """`resolve_with_entry` for a model that need not be in the catalog."""
        return self._resolved(request, entry)

    def ranges(self, entry: ModelEntry) -> dict[str, Span]:
        """Field → what is allowed with this model here, for every number of a request."""
        return ranges(entry, self._max_images)

    def loras(self) -> list[LoraFile]:
        """Every LoRA in the models folder; one that is damaged says so in `refused`."""
        return [look_at_lora(name, file) for name, file in lora_files(self.folder).items()]

    def embeddings(self) -> list[EmbeddingFile]:
        """Every embedding in the models folder; one that is damaged says so in `refused`."""
        return [look_at_embedding(name, file) for name, file in embedding_files(self.folder).items()]

    def vaes(self, entry: ModelEntry) -> tuple[str, ...]:
        """The names of the VAEs that may stand in for the model's own."""
        return vaes_of(self.folder, entry)

    def styles(self) -> Styles:
        """Every style that a request may name, and the files of styles that cannot be read."""
        return read_styles(self.folder)

    def installed_path(self, entry: ModelEntry) -> Path | None:
        """Where a local model's files are, or None for a hub model (its files are the hub cache's matter)."""
        return self.folder / entry.path if entry.path else None

    def _is_here(self, entry: ModelEntry) -> bool:
        if entry.path:
            return (self.folder / entry.path).exists()
        return on_disk(entry).presence is Presence.COMPLETE

    def _resolved(self, request: GenerationRequest, entry: ModelEntry) -> Resolved:
        if entry.refused:
            raise ModelRefused(entry.refused)
        filled = as_stored(request.model_copy(update=dict(_filled(request, entry))), self.folder)
        errors = list(_range_errors(filled, entry, self.ranges(entry), self._max_pixels))
        errors += task_errors(filled, entry, self._max_inputs)
        controls, wrong = control_models(filled, entry, self.get, self.seer)
        errors += wrong
        upscaler, wrong = hires_upscaler(filled, self.get, self.entries)
        errors += wrong
        errors += vae_errors(filled, self.folder, entry)
        prompt = Prompt("")
        try:
            prompt = Prompt.read(filled.prompt)
        except ValueError as error:
            errors.append(FieldError("prompt", filled.prompt, str(error)))
        errors += check_lora_tags(self.folder, prompt.loras, entry.pipeline)
        if entry.lora and entry.lora not in lora_files(self.folder):
            errors.append(FieldError("model", entry.key, _missing_lora(entry)))
        if request.task is not Task.UPSCALE and (wrong_decoder := decoder_problem(self.folder, entry)):
            errors.append(FieldError("model", entry.key, wrong_decoder))
        if errors:
            raise InvalidRequest(errors)
        # One spelling of a sampler, so that `k_euler` and `Euler` can share a batch.
        choice = parse_scheduler(filled.scheduler or DEFAULT)
        filled = filled.model_copy(update={"scheduler": choice.value if choice else DEFAULT})
        beside = {"controls": controls, "upscaler": upscaler, "vae": filled.vae or entry.vae}
        return Resolved(filled, prompt, entry.model_copy(update=beside) if any(beside.values()) else entry)


def _missing_lora(entry: ModelEntry) -> str:
    name = f"{entry.lora}.safetensors"
    return f"it needs {name} in models/loras: hf download {entry.lora_repository} {name} --local-dir models/loras"


def _filled(request: GenerationRequest, entry: ModelEntry) -> list[tuple[str, Any]]:
    steps = entry.start_steps if request.task in WITH_STRENGTH else None
    own = {"num_inference_steps": steps or entry.num_inference_steps}
    names = ("num_inference_steps", "guidance_scale", "width", "height", "scheduler", *OF_TOKENS)
    values = [(name, own.get(name, getattr(entry, name))) for name in names if getattr(request, name) is None]
    # The default negative prompt of a model is offered by the doors' forms; it is never added silently.
    seeds = ["seed", *(["subseed"] if request.subseed_strength else [])]
    drawn = [(name, secrets.randbelow(2**32)) for name in seeds if getattr(request, name) == RANDOM_SEED]
    return [*values, *drawn, ("model", entry.key), ("strength", strength_of(request))]


def _range_errors(
    request: GenerationRequest, entry: ModelEntry, allowed_ranges: Mapping[str, Span], max_pixels: int
) -> Iterator[FieldError]:
    for name, span in allowed_ranges.items():
        value = getattr(request, name)
        if value is not None and not span.allows(value):  # a strength, where there is no picture to start from
            whose = "" if name == "num_images" else f" for model {entry.key}"
            yield FieldError(name, value, span.words() + whose)
    width, height = result_size(request)
    if width * height > max_pixels:
        field = "hr_scale" if request.enable_hr else "width"
        yield FieldError(field, f"{width}x{height}", f"allowed is at most {max_pixels} pixels in all")
    allowed = allowed_schedulers(entry)
    choice = parse_scheduler(request.scheduler or DEFAULT)
    if choice is None or choice.value not in (DEFAULT, *allowed):
        names = entry.schedulers or tuple(item.name for item in SAMPLERS if item.name in allowed)
        yield FieldError("scheduler", request.scheduler, "allowed is one of: " + ", ".join(("default", *names)))
    elif choice.sampler and request.num_inference_steps < choice.sampler.min_steps:  # type: ignore[operator]
        least = f"allowed is at least {choice.sampler.min_steps} with the sampler {choice.sampler.name}"
        yield FieldError("num_inference_steps", request.num_inference_steps, least)
