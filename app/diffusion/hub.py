"""Models of the hub: where their files are on this machine, and the download that only happens when asked for."""

import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from app.catalog import ModelEntry
from app.core.errors import ModelNotInstalled, ModelRefused
from app.diffusion.checkpoints import check_folder

WANTED = ("model_index.json", "*/*.json", "*/*.txt", "*/*.model", "*/*.safetensors", "*/*.jinja")
NEVER = ("*.py", "*onnx*", "*flax*", "*openvino*", "*non_ema*", "safety_checker/*", "feature_extractor/*.safetensors")


def installed_folder(entry: ModelEntry) -> Path | None:
    """The snapshot folder in the hub's cache, or None if it is not there or not complete. Never asks the network."""
    if not entry.repository:
        return None
    try:
        folder = Path(snapshot_download(entry.repository, revision=entry.revision, local_files_only=True))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        return None
    except HFValidationError as error:
        raise ModelRefused(f"{entry.repository!r} is not a model id of the hub: {error}") from error
    if not (folder / "model_index.json").is_file():
        return None
    checked = check_folder(folder, variant=entry.variant)
    return folder if checked.components else None


def require_folder(entry: ModelEntry, *, download: bool = False) -> Path:
    """The snapshot folder; fetched first if `download`. Raises ModelNotInstalled with the command that installs it."""
    folder = installed_folder(entry)
    if folder is None and download:
        folder = fetch(entry)
    if folder is None:
        size = f" ({entry.size_bytes / 1e9:.1f} GB)" if entry.size_bytes else ""
        raise ModelNotInstalled(
            f"{entry.title} is not on this machine, and nothing is downloaded unasked.",
            hint=f'Install it{size} with: hf download {entry.repository}, or load_model("{entry.key}", download=True).',
        )
    return folder


def fetch(entry: ModelEntry) -> Path:
    """Download what is needed of a model: its configurations and one set of safetensors. Resumes what was begun."""
    if not entry.repository:
        raise ModelNotInstalled(f"{entry.key} has no repository to download from.")
    try:
        info = HfApi().model_info(entry.repository, revision=entry.revision)
        names = [sibling.rfilename for sibling in info.siblings or []]
        patterns = wanted_files(names, entry.variant)
        return Path(snapshot_download(entry.repository, revision=info.sha, allow_patterns=patterns))
    except GatedRepoError as error:
        raise ModelNotInstalled(
            f"{entry.repository} asks for a login: its licence must be accepted on its page first.",
            hint="Accept it there, then run: hf auth login",
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelNotInstalled(f"The hub has no model {entry.repository!r} (or it needs a login).") from error
    except (HfHubHTTPError, OfflineModeIsEnabled, LocalEntryNotFoundError, OSError) as error:
        raise ModelNotInstalled(f"{entry.repository} could not be downloaded: {error}") from error


def wanted_files(names: list[str], variant: str | None = None) -> list[str]:
    """Which of a repository's files a pipeline needs: no code, no pickles, one set of weights per component."""
    chosen = [
        name
        for name in names
        if any(fnmatch.fnmatch(name, pattern) for pattern in WANTED)
        and not any(fnmatch.fnmatch(name, pattern) for pattern in NEVER)
        and ".." not in name
        and "\\" not in name
    ]
    tag = f".{variant}." if variant else None
    with_variant = {name.split("/")[0] for name in chosen if tag and tag in name and name.endswith(".safetensors")}
    return [
        name
        for name in chosen
        if not name.endswith(".safetensors") or _is_variant(name, tag) == (name.split("/")[0] in with_variant)
    ]


def _is_variant(name: str, tag: str | None) -> bool:
    file = name.split("/")[-1]
    return tag in file if tag else ".fp16." in file or ".bf16." in file
