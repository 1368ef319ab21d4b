"""The hub's cache on this disk: which models are there, whole or in part, and how to clean up.

The layout is huggingface_hub's (`models--OWNER--NAME/{blobs,refs,snapshots}`), so its tools and this share the files.
Beside them lies the plan of our download, which tells a part from the whole. Nothing here asks the network.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.core.models import Presence
from app.hub.alone import alone
from app.hub.download_plan import (
    PLAN_FILE,
    DownloadPlan,
    PlannedFile,
    is_commit,
    is_inside,
    is_revision,
    read_json,
    read_plan,
)

DEFAULT_REVISION = "main"
INCOMPLETE = ".incomplete"
IP_ADAPTER_FILES = ("ip-adapter", "ip_adapter")
_WITHOUT_WEIGHTS = ("Scheduler", "Tokenizer", "TokenizerFast", "Processor", "ProcessorFast", "FeatureExtractor")


class HubModel(Protocol):
    """The hub's part of a catalog entry: `owner/name`; a branch, tag or commit (None = main); `fp16` or None.

    With a `transformer` of its own the weights of the repository's are not needed. `single`: it holds one model, and no
    pipeline of several.
    """

    @property
    def repository(self) -> str | None: ...
    @property
    def revision(self) -> str | None: ...
    @property
    def variant(self) -> str | None: ...
    @property
    def transformer(self) -> str | None: ...
    @property
    def single(self) -> bool: ...
    @property
    def size_bytes(self) -> int: ...


@dataclass(frozen=True)
class OnDisk:
    """`done` of `of` bytes are there (0 = unknown); `folder` is the snapshot if it is complete."""

    presence: Presence
    done: int = 0
    of: int = 0
    folder: Path | None = None


def hub_cache() -> Path:
    """Where huggingface_hub keeps what it downloads: `HF_HUB_CACHE`, else `HF_HOME`, else below the home folder."""
    cache = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
    home = os.environ.get("HF_HOME", Path(cache) / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE", Path(home) / "hub")).expanduser()


def storage_folder(repository: str) -> Path:
    """The folder of one hub model in the cache."""
    return hub_cache() / f"models--{repository.replace('/', '--')}"


def on_disk(entry: HubModel) -> OnDisk:
    """How much of a hub model is here."""
    if not entry.repository:
        return OnDisk(Presence.ABSENT)
    storage = storage_folder(entry.repository)
    plan = read_plan(storage)
    wanted = (entry.revision or DEFAULT_REVISION, entry.variant, bool(entry.transformer))
    if plan is not None and (plan.asked, plan.variant, plan.bare) == wanted:
        return _against_plan(storage, plan)
    folder = _snapshot(storage, entry.revision or DEFAULT_REVISION)
    if folder is not None and not any(_missing(folder, bare=bool(entry.transformer))):
        size = sum(_size(file) or 0 for file in folder.rglob("*") if os.path.isfile(file))
        return OnDisk(Presence.COMPLETE, size, size, folder)
    done = _blob_bytes(storage)
    return OnDisk(Presence.PARTIAL if done else Presence.ABSENT, done, entry.size_bytes)


def bytes_present(storage: Path, file: PlannedFile) -> int:
    """How many bytes of a planned file are here, finished or not."""
    for blob in (storage / "blobs" / file.blob, storage / "blobs" / (file.blob + INCOMPLETE)):
        if size := _size(blob):
            return min(size, file.size)
    return 0


def clean(entry: HubModel) -> int:
    """Remove what an interrupted download left, and give the bytes freed. A complete model keeps its own files.

    Raises ModelBusy while another process downloads it.
    """
    storage = storage_folder(entry.repository or "")
    if not entry.repository or not storage.is_dir():
        return 0
    with alone(storage):
        freed = _remove_partial(entry, storage)
    if not any(file.is_file() for file in storage.rglob("*") if file.relative_to(storage).parts[0] != "refs"):
        _remove_tree(storage)
    return freed


def _remove_partial(entry: HubModel, storage: Path) -> int:
    found = on_disk(entry)
    kept = set() if found.folder is None else {file.resolve() for file in found.folder.rglob("*") if file.is_file()}
    kept |= _of_other_snapshots(storage, found)
    freed = 0
    for blob in _files(storage / "blobs"):
        if blob.resolve() not in kept:
            freed += _size(blob) or 0
            blob.unlink()
    if found.presence is not Presence.COMPLETE:
        (storage / PLAN_FILE).unlink(missing_ok=True)
    _remove_dangling(storage)
    return freed


def repositories() -> list[str]:
    """Hub ids of which something is in the cache."""
    folders = sorted(hub_cache().glob("models--*--*")) if _is_folder(hub_cache()) else []
    return [folder.name.removeprefix("models--").replace("--", "/", 1) for folder in folders]


def _against_plan(storage: Path, plan: DownloadPlan) -> OnDisk:
    folder = storage / "snapshots" / plan.commit
    whole = all(_is_whole(folder / file.path, file.size) for file in plan.files)
    if whole:
        return OnDisk(Presence.COMPLETE, plan.size, plan.size, folder)
    done = sum(bytes_present(storage, file) for file in {file.blob: file for file in plan.files}.values())
    return OnDisk(Presence.PARTIAL, done, plan.size)


def _is_whole(file: Path, size: int) -> bool:
    return _size(file) == size


def _size(file: Path) -> int | None:
    """Bytes of a file; None if there is none, or not any more: a download may run meanwhile."""
    try:
        return file.stat().st_size
    except OSError:
        return None


def _snapshot(storage: Path, revision: str) -> Path | None:
    """The snapshot folder of a revision. A commit names it; a branch is looked up."""
    commit = revision
    if not is_commit(revision):
        if not is_revision(revision):
            return None
        try:
            with (storage / "refs" / revision).open("rb") as stream:
                commit = stream.read(100).decode("ascii").strip()
        except (OSError, ValueError):
            return None
        if not is_commit(commit):  # what another program wrote there is not followed anywhere
            return None
    folder = storage / "snapshots" / commit
    return folder if _is_folder(folder) else None


def _missing(folder: Path, *, bare: bool = False) -> Iterator[str]:
    """What a folder that another tool downloaded lacks, as far as its own index and shard lists tell."""
    index = read_json(folder / "model_index.json")
    if index is None and _is_one_model(folder):
        return
    if index is None:
        yield "model_index.json"
        return
    for part, value in index.items():
        if part.startswith("_") or part == "safety_checker" or not isinstance(value, list) or len(value) != 2:
            continue
        if "/" in part or not is_inside(part):
            yield "model_index.json"
            return
        if value[0] is None or (bare and part == "transformer" and (folder / part).is_dir()):
            continue
        names = [file.name for file in _files(folder / part)]
        weights = [name for name in names if name.endswith(".safetensors")]
        if not names or not (weights or str(value[1]).endswith(_WITHOUT_WEIGHTS)):
            yield part
        yield from (f"{part}/{shard}" for shard in _shards(folder / part) if shard not in names)


def _is_one_model(folder: Path) -> bool:
    """True for a whole model that is no pipeline: a configuration and its weights, or those of an IP-Adapter alone."""
    here = {file.name for file in _files(folder)}
    weights = [name for name in here if name.endswith(".safetensors")]
    alone = len(weights) == 1 and weights[0].startswith(IP_ADAPTER_FILES)
    return (alone or ("config.json" in here and bool(weights))) and _shards(folder) <= here


def _shards(part: Path) -> set[str]:
    """The shards of one complete list: a folder may have lists of several variants, and need not have all files."""
    lists = [(read_json(file) or {}).get("weight_map") for file in _files(part) if ".safetensors.index." in file.name]
    sets = [set(map(str, shards.values())) for shards in lists if isinstance(shards, dict)]
    here = {file.name for file in _files(part)}
    return min(sets, key=lambda shards: len(shards - here), default=set())


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # False, and no error, for what may not be looked at


def _files(folder: Path) -> list[Path]:
    """The files of a folder; none of one that is not there or may not be read."""
    try:
        return [file for file in folder.iterdir() if os.path.isfile(file)]
    except OSError:
        return []


def _blob_bytes(storage: Path) -> int:
    return sum(_size(blob) or 0 for blob in _files(storage / "blobs"))


def _of_other_snapshots(storage: Path, found: OnDisk) -> set[Path]:
    """Blobs of snapshots that are whole by themselves: another revision or variant, or another tool's."""
    snapshots = storage / "snapshots"
    others = [folder for folder in snapshots.iterdir() if folder != found.folder] if snapshots.is_dir() else []
    whole = [folder for folder in others if not any(_missing(folder))]
    return {file.resolve() for folder in whole for file in folder.rglob("*") if file.is_file()}


def _remove_dangling(storage: Path) -> None:
    """Links whose blob is gone, then folders that hold nothing any more."""
    for path in sorted(storage.rglob("*"), reverse=True):
        if path.is_symlink() and not path.exists():
            path.unlink()
        elif path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def _remove_tree(folder: Path) -> None:
    for path, folders, files in os.walk(folder, topdown=False):
        for name in files:
            (Path(path) / name).unlink()
        for name in folders:
            (Path(path) / name).rmdir()
    folder.rmdir()
