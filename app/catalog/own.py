"""Models that no list names: the user's folders and files beside the catalog, and what the hub's cache has.

These files may be anything, from anyone. A fault of one is a word about that one, and never in the way of the others.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.catalog.control import control_class, control_facts
from app.catalog.entry import ModelEntry
from app.core.errors import ModelRefused
from app.core.models import Presence
from app.core.names import is_clean, shown_name
from app.families import OF_TRANSFORMERS, STABLE_DIFFUSION, TOKEN_MODELS, family_of, is_known
from app.hub.disk import on_disk, repositories, storage_folder
from app.hub.download_plan import read_plan
from app.weights.header import read_header
from app.weights.kinds import Kind, Layout, kind_of

OUTPUT_PREFIX = "generated_images"
INDEX, CONFIG = "model_index.json", "config.json"
WEIGHTS = ".safetensors"
MAX_INDEX_BYTES = 2**20
MAX_KNOWN_FILES = 10_000
HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


@dataclass(frozen=True)
class Skipped:
    """A file or folder that is no entry of the catalog, by its name as it can be shown, and why."""

    name: str
    reason: str


def folder_entry(path: Path) -> ModelEntry:
    """An entry for a diffusers folder anywhere on the disk, with the defaults of its pipeline class."""
    pipeline, refused = _pipeline_of(path)
    size = sum(_size(part) for pattern in (f"*{WEIGHTS}", f"*/*{WEIGHTS}") for part in path.glob(pattern))
    entry = _own_entry(path.name, str(path.resolve()), size, pipeline).model_copy(update={"refused": refused})
    return entry.model_copy(update=control_facts(path.name, path, _config(path), pipeline))


def file_entry(path: Path) -> ModelEntry:
    """An entry for a single `.safetensors` file anywhere on the disk, with the defaults of its family."""
    return SingleFiles().entry(path).model_copy(update={"path": str(path.resolve())})


def hub_entry(repository: str) -> ModelEntry:
    """An entry for a hub id that the catalog does not list, with what its files say as far as they are here."""
    bare = ModelEntry(key=repository, title=repository, repository=repository, own=True)
    found = on_disk(bare)
    pipeline, refused = _pipeline_of(found.folder) if found.folder else (bare.pipeline, None)
    more = {"pipeline": pipeline, "size_bytes": found.of, "refused": refused}
    if found.folder:
        more |= control_facts(repository, found.folder, _config(found.folder), pipeline)
    return bare.model_copy(update={**family_of(pipeline).defaults(), **more})


def is_hub_id(text: str) -> bool:
    """True for what may be a model id of the hub: `owner/name`."""
    return HUB_ID.fullmatch(text) is not None and "--" not in text and ".." not in text


def hub_models() -> list[ModelEntry]:
    """Pipelines of the hub's cache, and what of our downloads is there in part; other tools keep other models there."""
    found = [_hub_model(name) for name in repositories() if is_hub_id(name)]
    return [entry for entry in found if entry is not None]


def _hub_model(name: str) -> ModelEntry | None:
    try:
        entry = hub_entry(name) if _is_pipeline(name) else None
    except Exception as error:  # noqa: BLE001  whatever is in the files of one model, the others are listed
        reason = f"{name} cannot be read ({type(error).__name__})."
        return ModelEntry(key=name, title=name, repository=name, own=True, refused=reason)
    return entry if entry is not None and entry.size_bytes and is_known(entry.pipeline) else None


def _is_pipeline(name: str) -> bool:
    """A quick look: our own download, or a whole snapshot with the index of a pipeline."""
    if read_plan(storage_folder(name)) is not None:
        return True
    indexed = any(storage_folder(name).glob(f"snapshots/*/{INDEX}"))
    indexed = indexed or any(map(_alone_in, storage_folder(name).glob("snapshots/*")))
    return indexed and on_disk(ModelEntry(key=name, title=name, repository=name)).presence is Presence.COMPLETE


class SingleFiles:
    """What kind of model each single file is; a file is read again only when it changed. Any thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int], Kind | str] = {}

    def kind(self, file: Path) -> Kind | str:
        """The kind, or why the file is refused. Raises OSError."""
        status = file.stat()
        key = (str(file), status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self._known:
            if len(self._known) >= MAX_KNOWN_FILES:  # of files that are gone, or written to again and again
                self._known.clear()
            try:
                self._known[key] = kind_of(read_header(file).shapes)
            except ModelRefused as error:
                self._known[key] = error.message
        return self._known[key]

    def entry(self, file: Path) -> ModelEntry:
        """The entry of one file, with the defaults of its family. Raises OSError."""
        kind = self.kind(file)
        layout = kind.layout if isinstance(kind, Kind) else None
        pipeline = layout.family.pipeline if layout else STABLE_DIFFUSION.pipeline
        more = {"width": 768, "height": 768} if layout is Layout.SD2 else {}
        refused = kind if isinstance(kind, str) else None if layout else f"{file.name} is {kind.words}."
        entry = _own_entry(file.stem, file.name, file.stat().st_size, pipeline)
        return entry.model_copy(update={**more, "refused": refused})


def own_models(folder: Path, taken: set[str], files: SingleFiles) -> Iterator[ModelEntry | Skipped]:
    """The user's diffusers folders (they have a `model_index.json`) and single `.safetensors` files, by name.

    What cannot be looked at, or has a name that cannot be written, is told as skipped.
    """
    try:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        yield Skipped(shown_name(folder.name), _words(error))
        return
    for path in found:
        if path.name in taken or path.name.startswith((".", OUTPUT_PREFIX)):
            continue
        try:
            entry = _look_at(path, files)
        except OSError as error:
            yield Skipped(shown_name(path.name), _words(error))
        except Exception as error:  # noqa: BLE001  whatever is in the files of one model, the others are listed
            yield _refused(path, f"{path.name} cannot be read ({type(error).__name__}).")
        else:
            if entry is not None:
                yield entry


def _look_at(path: Path, files: SingleFiles) -> ModelEntry | Skipped | None:
    is_folder = path.is_dir() and ((path / INDEX).is_file() or _alone_in(path) is not None)
    if not is_folder and not (path.suffix == WEIGHTS and path.is_file()):
        return None
    if not is_clean(path.name):
        return Skipped(shown_name(path.name), "its name is not text that can be shown; give it another")
    return folder_entry(path).model_copy(update={"path": path.name}) if is_folder else files.entry(path)


def _refused(path: Path, reason: str) -> ModelEntry | Skipped:
    if not is_clean(path.name):
        return Skipped(shown_name(path.name), reason)
    name = path.stem if path.suffix == WEIGHTS else path.name
    return _own_entry(name, path.name, 0, STABLE_DIFFUSION.pipeline).model_copy(update={"refused": reason})


def _words(error: OSError) -> str:
    return f"it cannot be read: {error.strerror or type(error).__name__}"


def _own_entry(name: str, path: str, size: int, pipeline: str) -> ModelEntry:
    values = family_of(pipeline).defaults()
    return ModelEntry(key=name, title=name, path=path, size_bytes=size, pipeline=pipeline, own=True, **values)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # a link that leads nowhere
        return 0


def _alone_in(folder: Path) -> str | None:
    """The class of a folder that has one model: one of transformers' that draws token by token, makes pictures larger,
    describes, finds or looks at them, or a control model. None for any other."""
    config = _config(folder)
    named = config.get("architectures")
    known = {family.architecture or family.pipeline: family.pipeline for family in (*TOKEN_MODELS, *OF_TRANSFORMERS)}
    found = (known[name] for name in known if isinstance(named, list) and name in named)
    return next(found, None) or control_class(folder, config)


def _config(folder: Path) -> dict[str, Any]:
    """What a folder's `config.json` says; nothing if it cannot be read."""
    try:
        with (folder / CONFIG).open("rb") as stream:
            config = json.loads(stream.read(MAX_INDEX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _pipeline_of(folder: Path) -> tuple[str, str | None]:
    """The pipeline class that a folder names, and why the folder is refused: then it is the usual class."""
    if not (folder / INDEX).exists() and (alone := _alone_in(folder)):
        return alone, None
    usual, file = STABLE_DIFFUSION.pipeline, folder / INDEX
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_INDEX_BYTES + 1)
        if len(text) > MAX_INDEX_BYTES:
            return usual, f"{folder.name}: {INDEX} is larger than {MAX_INDEX_BYTES} bytes."
        index = json.loads(text)
    except OSError as error:
        return usual, f"{folder.name}: {INDEX}: {_words(error)}."
    except (ValueError, RecursionError):
        return usual, f"{folder.name}: {INDEX} is not readable JSON."
    name = index.get("_class_name") if isinstance(index, dict) else None
    if not isinstance(name, str) or not _CLASS.fullmatch(name):
        return usual, f"{folder.name}: {INDEX} names no pipeline class."
    return name, None if is_known(name) else f"{folder.name}: {name} is not a text-to-image pipeline that is run here."
