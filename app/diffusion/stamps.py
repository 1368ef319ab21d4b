"""Are a model's files still those that it was loaded from? Told by names, sizes and times, without reading them."""

import os
from pathlib import Path

from app.catalog import ModelEntry
from app.catalog.decoders import decoder_folder
from app.diffusion.checkpoints import CheckedFolder
from app.diffusion.single_file import CheckedFile
from app.hub.disk import on_disk

# Path, device, inode, size and time of the last change of each file, and what else the entry names.
Stamp = tuple[object, ...]


def stamp(entry: ModelEntry, models_folder: Path, checked: CheckedFolder | CheckedFile) -> Stamp:
    """Equal as long as a model of this entry would be loaded from the same files."""
    named: tuple[object, ...] = (entry.path, entry.repository, entry.revision, entry.variant, entry.config)
    named += (entry.transformer, entry.pipeline, entry.lora, entry.shapes, entry.decoder)
    changes = repr(sorted(entry.scheduler_config.items()))
    if entry.path:
        places = [models_folder / entry.path]
    else:
        here = on_disk(entry).folder
        places = [here if here is not None else _place(checked)]
    places += [models_folder / name for name in (entry.config, entry.transformer) if name]
    decoder = decoder_folder(models_folder, entry)
    places += [decoder] if decoder else []
    return (named, changes, *(file_stamp(file) for place in places for file in _files(place)))


def file_stamp(file: Path) -> Stamp:
    """The stamp of one file, through links; that of a missing one is equal to no other's."""
    try:
        status = file.stat()
    except OSError:
        return (str(file), None)
    return (str(file), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _place(checked: CheckedFolder | CheckedFile) -> Path:
    return checked.file if isinstance(checked, CheckedFile) else checked.folder


def _files(place: Path) -> list[Path]:
    """The file itself, or the files of a folder and of the folders in it."""
    if not place.is_dir():
        return [place]
    return sorted(Path(folder, name) for folder, _, names in os.walk(place) for name in names)
