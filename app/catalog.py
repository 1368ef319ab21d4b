"""Which models there are: `models/catalog.toml`, and the folders and `.safetensors` files a user puts beside it.

Never loads weights and never asks the network: it reads a table and looks at file names, sizes and headers.
"""

import json
import re
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from app.core.errors import FieldError, InvalidRequest, ModelRefused, UnknownModel
from app.core.samplers import DEFAULT, SAMPLERS, all_values, parse_scheduler
from app.core.schema import RANDOM_SEED, GenerationRequest, Value
from app.core.settings import Settings
from app.core.shapes import parse_shape
from app.families import STABLE_DIFFUSION, family_of, is_known
from app.hub.disk import Presence, on_disk, read_plan, repositories, storage_folder
from app.weights.header import read_header
from app.weights.kinds import Kind, Layout, kind_of
from app.weights.loras import check_lora_tags, lora_files, lora_metadata

CATALOG_FILE = "catalog.toml"
OUTPUT_PREFIX = "generated_images"
ShapeText = Annotated[str, AfterValidator(lambda text: str(parse_shape(text)))]
HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


class Span(Value):
    """An allowed range, both ends included. `multiple` is the step of a size in pixels."""

    low: float
    high: float
    multiple: int = 1

    def allows(self, value: float) -> bool:
        """True if the value is inside and a multiple of `multiple`."""
        return self.low <= value <= self.high and (self.multiple == 1 or value % self.multiple == 0)

    def words(self) -> str:
        """The range as a person reads it."""
        text = f"allowed is {self.low:g} to {self.high:g}"
        return f"{text} in steps of {self.multiple}" if self.multiple > 1 else text


class ModelEntry(Value):
    """One model as the catalog knows it. Sizes are bytes and pixels.

    `repository` is a hub id, or absent for a model that is a `path` (a diffusers folder, or one `.safetensors`
    file) inside the models folder; `config` is a folder there whose configurations a single file is loaded with
    instead of its family's own. `transformer` is a `.gguf` or `.safetensors` file there that stands in for the
    transformer of the repository or path. `revision` pins the hub's commit. `schedulers` empty = every known one.
    """

    key: str
    title: str
    repository: str | None = None
    revision: str | None = None
    variant: str | None = None
    path: str | None = None
    config: str | None = None
    transformer: str | None = None
    pipeline: str = STABLE_DIFFUSION.pipeline
    size_bytes: int = 0
    parameters: int = 0
    components: Mapping[str, int] = Field({}, description="Parameters of each part, where known.")
    licence: str = "unknown"
    speed: str = ""
    quality: str = ""
    best_for: str = ""
    num_inference_steps: int = 20
    guidance_scale: float = 7.5
    width: int = 512
    height: int = 512
    negative_prompt: str = ""
    scheduler: str = "default"
    steps_range: Span = Span(low=1, high=150)
    guidance_range: Span = Span(low=0, high=30)
    size_range: Span = Span(low=64, high=2048, multiple=8)
    shapes: tuple[ShapeText, ...] = Field(
        (), description="The sizes it can draw, as `128x96`; other allowed sizes are scaled from the nearest of them."
    )
    schedulers: tuple[str, ...] = ()
    lora: str | None = Field(None, description="Name of a LoRA that is part of this model.")
    lora_repository: str | None = Field(None, description="Where that LoRA comes from.")
    scheduler_config: Mapping[str, Any] = Field({}, description="What differs from the base model's scheduler.")
    own: bool = Field(False, description="True for files that the user put there.")


def allowed_schedulers(entry: ModelEntry) -> tuple[str, ...]:
    """Every `scheduler` value that a model takes beside `default`: its own list, or all that work for its family."""
    return entry.schedulers or tuple(all_values(family_of(entry.pipeline).samplers)[1:])


class Catalog:
    """The models of one models folder. Reads the disk at each call, so a model dropped in appears by itself."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.models_folder
        self.default_key = settings.default_model
        self._max_images = settings.max_images
        self._max_pixels = settings.max_pixels
        self._files = _SingleFiles()
        self._table = _Table(self.folder / CATALOG_FILE)

    def entries(self) -> list[ModelEntry]:
        """All models: the catalog's in its order, the user's own by name, then what else the hub's cache has."""
        listed = self._table.entries()
        taken = {name for entry in listed for name in (entry.path, entry.config, entry.transformer) if name}
        known = {name for entry in listed for name in (entry.key, entry.repository) if name}
        own = [*_own_models(self.folder, taken, self._files), *_hub_models()]
        return listed + [entry for entry in own if entry.key not in known]

    def get(self, key: str) -> ModelEntry:
        """The entry of one key. Raises UnknownModel, which names the keys there are."""
        entries = self.entries()
        for entry in entries:
            if entry.key == key:
                return entry
        known = ", ".join(entry.key for entry in entries)
        raise UnknownModel(f"There is no model {key!r}. Known models: {known}.")

    def resolve(self, request: GenerationRequest) -> GenerationRequest:
        """The same request with the model's defaults filled in and the seed drawn, ready to be stored.

        Raises InvalidRequest naming every field outside the model's ranges, UnknownModel's text included as
        field `model`. Nothing is rounded or clipped.
        """
        try:
            entry = self.get(request.model or self.default_key)
        except UnknownModel as error:
            known = "allowed is one of: " + ", ".join(item.key for item in self.entries())
            raise InvalidRequest([FieldError("model", request.model or self.default_key, known)]) from error
        return self.resolve_for(request, entry)

    def resolve_for(self, request: GenerationRequest, entry: ModelEntry) -> GenerationRequest:
        """`resolve` for a model that need not be in the catalog."""
        filled = request.model_copy(update=dict(_filled(request, entry)))
        errors = list(_range_errors(filled, entry, self._max_images, self._max_pixels))
        errors += check_lora_tags(self.folder, filled.prompt, entry.pipeline)
        if entry.lora and entry.lora not in lora_files(self.folder):
            errors.append(FieldError("model", entry.key, _missing_lora(entry)))
        if errors:
            raise InvalidRequest(errors)
        # One spelling of a sampler, so that `k_euler` and `Euler` can share a batch.
        choice = parse_scheduler(filled.scheduler or DEFAULT)
        return filled.model_copy(update={"scheduler": choice.value if choice else DEFAULT})

    def loras(self) -> list[tuple[str, Path, dict[str, Any]]]:
        """Name, file and metadata of every LoRA in the models folder."""
        return [(name, file, lora_metadata(file)) for name, file in lora_files(self.folder).items()]

    def installed_path(self, entry: ModelEntry) -> Path | None:
        """Where a local model's files are, or None for a hub model (its files are the hub cache's matter)."""
        return self.folder / entry.path if entry.path else None


def _missing_lora(entry: ModelEntry) -> str:
    name = f"{entry.lora}.safetensors"
    return f"it needs {name} in models/loras: hf download {entry.lora_repository} {name} --local-dir models/loras"


def _filled(request: GenerationRequest, entry: ModelEntry) -> list[tuple[str, Any]]:
    names = ("num_inference_steps", "guidance_scale", "width", "height", "scheduler")
    values = [(name, getattr(entry, name)) for name in names if getattr(request, name) is None]
    # The default negative prompt of a model is offered by the doors' forms; it is never added silently.
    seed = secrets.randbelow(2**32) if request.seed == RANDOM_SEED else request.seed
    return [*values, ("model", entry.key), ("seed", seed)]


def _range_errors(request: GenerationRequest, entry: ModelEntry, max_images: int, max_pixels: int):  # type: ignore[no-untyped-def]
    checks = [
        ("num_inference_steps", entry.steps_range),
        ("guidance_scale", entry.guidance_range),
        ("width", entry.size_range),
        ("height", entry.size_range),
    ]
    for name, span in checks:
        value = getattr(request, name)
        if not span.allows(value):
            yield FieldError(name, value, f"{span.words()} for model {entry.key}")
    if request.num_images > max_images:
        yield FieldError("num_images", request.num_images, f"allowed is 1 to {max_images}")
    if request.width * request.height > max_pixels:  # type: ignore[operator]
        size = f"{request.width}x{request.height}"
        yield FieldError("width", size, f"allowed is at most {max_pixels} pixels in all")
    allowed = allowed_schedulers(entry)
    choice = parse_scheduler(request.scheduler or DEFAULT)
    if choice is None or choice.value not in (DEFAULT, *allowed):
        names = entry.schedulers or tuple(item.name for item in SAMPLERS if item.name in allowed)
        yield FieldError("scheduler", request.scheduler, "allowed is one of: default, " + ", ".join(names))
    elif choice.sampler and request.num_inference_steps < choice.sampler.min_steps:  # type: ignore[operator]
        least = f"allowed is at least {choice.sampler.min_steps} with the sampler {choice.sampler.name}"
        yield FieldError("num_inference_steps", request.num_inference_steps, least)


class _Table:
    """The entries of a catalog file; it is read again only when it changed, for reading takes 3 ms. Any thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: tuple[tuple[int, int], list[ModelEntry]] | None = None

    def entries(self) -> list[ModelEntry]:
        """A new list in the order of the file; none without a file."""
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return []
        version, known = (status.st_mtime_ns, status.st_size), self._known
        if known is None or known[0] != version:
            table: Mapping[str, Any] = tomllib.loads(self._file.read_text("utf-8"))
            known = version, [ModelEntry.model_validate({"key": key, **values}) for key, values in table.items()]
            self._known = known
        return list(known[1])


def folder_entry(path: Path) -> ModelEntry:
    """An entry for a diffusers folder anywhere on the disk, with the defaults of its pipeline class."""
    size = sum(part.stat().st_size for part in path.rglob("*.safetensors"))
    return _own_entry(path.name, str(path.resolve()), size, _pipeline_of(path))


def file_entry(path: Path) -> ModelEntry:
    """An entry for a single `.safetensors` file anywhere on the disk, with the defaults of its family."""
    return _SingleFiles().entry(path).model_copy(update={"path": str(path.resolve())})


def hub_entry(repository: str) -> ModelEntry:
    """An entry for a hub id that the catalog does not list, with what its files say as far as they are here."""
    bare = ModelEntry(key=repository, title=repository, repository=repository, own=True)
    found = on_disk(bare)
    pipeline = _pipeline_of(found.folder) if found.folder else bare.pipeline
    return bare.model_copy(update={**family_of(pipeline).defaults(), "pipeline": pipeline, "size_bytes": found.of})


def is_hub_id(text: str) -> bool:
    """True for what may be a model id of the hub: `owner/name`."""
    return HUB_ID.fullmatch(text) is not None and "--" not in text and ".." not in text


def _hub_models() -> list[ModelEntry]:
    """Pipelines of the hub's cache, and what of our downloads is there in part; other tools keep other models there."""
    found = [hub_entry(name) for name in repositories() if is_hub_id(name) and _is_pipeline(name)]
    return [entry for entry in found if entry.size_bytes and is_known(entry.pipeline)]


def _is_pipeline(name: str) -> bool:
    """A quick look: our own download, or a whole snapshot with the index of a pipeline."""
    if read_plan(storage_folder(name)) is not None:
        return True
    indexed = any(storage_folder(name).glob("snapshots/*/model_index.json"))
    return indexed and on_disk(ModelEntry(key=name, title=name, repository=name)).presence is Presence.COMPLETE


class _SingleFiles:
    """What kind of model each single file is; a file is read again only when it changed. Any thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], Kind | None] = {}

    def kind(self, file: Path) -> Kind | None:
        """None for a file that is damaged or no safetensors: loading it says what is wrong."""
        status = file.stat()
        key = (str(file), status.st_size, status.st_mtime_ns)
        if key not in self._known:
            try:
                self._known[key] = kind_of(read_header(file).shapes)
            except (ModelRefused, OSError):
                self._known[key] = None
        return self._known[key]

    def entry(self, file: Path) -> ModelEntry:
        """The entry of one file, with the defaults of its family."""
        kind = self.kind(file)
        layout = kind.layout if kind else None
        pipeline = layout.family.pipeline if layout else STABLE_DIFFUSION.pipeline
        entry = _own_entry(file.stem, file.name, file.stat().st_size, pipeline)
        return entry.model_copy(update={"width": 768, "height": 768}) if layout is Layout.SD2 else entry


def _own_models(folder: Path, taken: set[str], files: _SingleFiles) -> list[ModelEntry]:
    """The user's diffusers folders (they have a `model_index.json`) and single `.safetensors` files."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        if path.name in taken or path.name.startswith((".", OUTPUT_PREFIX)):
            continue
        if path.is_dir() and (path / "model_index.json").is_file():
            found.append(folder_entry(path).model_copy(update={"path": path.name}))
        elif path.is_file() and path.suffix == ".safetensors":
            found.append(files.entry(path))
    return found


def _own_entry(name: str, path: str, size: int, pipeline: str) -> ModelEntry:
    values = family_of(pipeline).defaults()
    return ModelEntry(key=name, title=name, path=path, size_bytes=size, pipeline=pipeline, own=True, **values)


def _pipeline_of(folder: Path) -> str:
    """The pipeline class that a folder names. A damaged index gives the usual class: loading it says what is wrong."""
    try:
        name = json.loads((folder / "model_index.json").read_bytes())["_class_name"]
    except (OSError, ValueError, KeyError, TypeError):
        return STABLE_DIFFUSION.pipeline
    return name if isinstance(name, str) else STABLE_DIFFUSION.pipeline
