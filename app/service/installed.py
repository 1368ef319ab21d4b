"""Which models can draw now: other programs are offered these and no others."""

import os

from app.catalog import ModelEntry, tasks_of
from app.core.errors import ModelNotInstalled, ModelRefused
from app.core.models import Presence
from app.core.task import Task
from app.hub.disk import OnDisk, on_disk
from app.service.parts import Parts


def files_of(parts: Parts, entry: ModelEntry) -> OnDisk:
    """What of a model is on this machine. Looks at the disk, opens nothing."""
    local = parts.catalog.installed_path(entry)
    if local is None:
        return on_disk(entry)
    there = os.path.exists(local)
    return OnDisk(Presence.COMPLETE if there else Presence.ABSENT, entry.size_bytes if there else 0, entry.size_bytes)


def is_installed(parts: Parts, entry: ModelEntry) -> bool:
    """True if all files of the model are on this machine and may be used."""
    return not entry.refused and files_of(parts, entry).presence is Presence.COMPLETE


def installed_entries(parts: Parts) -> list[ModelEntry]:
    """The models of the catalog that are here and make pictures from words, in its order."""
    return [entry for entry in _here(parts) if Task.TEXT in tasks_of(entry)]


def installed_upscalers(parts: Parts) -> list[ModelEntry]:
    """The models that are here and make pictures larger."""
    return [entry for entry in _here(parts) if tasks_of(entry) == (Task.UPSCALE,)]


def installed_controls(parts: Parts) -> list[ModelEntry]:
    """The models that are here and hold the pictures of others."""
    return [entry for entry in _here(parts) if tasks_of(entry) == (Task.CONTROL,)]


def _here(parts: Parts) -> list[ModelEntry]:
    return [entry for entry in parts.catalog.entries() if is_installed(parts, entry)]


def check_installed(parts: Parts, entry: ModelEntry) -> None:
    """Raise ModelRefused, or ModelNotInstalled naming what is here, before a job waits for what cannot be drawn."""
    if entry.refused:
        raise ModelRefused(entry.refused)
    if not is_installed(parts, entry):
        here = ", ".join(known.key for known in installed_entries(parts)) or "none"
        raise ModelNotInstalled(
            f"The model {entry.key} is not on this machine. Installed are: {here}.",
            hint=f"Download it with `python -m app models download {entry.key}`.",
        )
