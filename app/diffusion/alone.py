"""One model of transformers by itself: its class, its folder, its weights."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers

from app.catalog import ModelEntry
from app.core.errors import ModelRefused
from app.families import family_of
from app.hub.disk import on_disk
from app.weights.header import read_header

MAX_CONFIG_BYTES = 2**20
WEIGHTS = "*.safetensors"
# What files that are not as they must be raise in the libraries that read them.
UNREADABLE = (OSError, ValueError, TypeError, RuntimeError, KeyError, AttributeError, IndexError, ImportError)


def folder_of(entry: ModelEntry, models: Path) -> Path:
    """Where the files of a model are. Raises ModelRefused if it is not here."""
    found = on_disk(entry).folder if entry.path is None else models / entry.path
    if found is None:
        raise ModelRefused(f"{entry.key} is not on this machine.")
    return found


@contextmanager
def readable(entry: ModelEntry) -> Iterator[None]:
    """What the files of a model raise when they are read is said as ModelRefused."""
    try:
        yield
    except UNREADABLE as error:
        text = f"{entry.key} cannot be loaded: {type(error).__name__}: {str(error)[:300]}"
        raise ModelRefused(text) from None


def load_alone(
    entry: ModelEntry, folder: Path, device: torch.device, dtype: torch.dtype | None = None
) -> torch.nn.Module:
    """The network in `folder`. Only safetensors are opened, and no code that comes with them. Raises ModelRefused."""
    transformers.utils.logging.disable_progress_bar()  # as for pipelines
    cls = getattr(transformers, family_of(entry.pipeline).pipeline)
    with readable(entry):
        with (folder / "config.json").open("rb") as stream:
            config = json.loads(stream.read(MAX_CONFIG_BYTES))
        held = sum(read_header(file).parameters for file in folder.glob(WEIGHTS))
        with torch.device("meta"):  # what the configuration says takes no memory yet
            needed = sum(each.numel() for each in cls(cls.config_class.from_dict(config)).parameters())
        if held < needed:
            raise ModelRefused(f"{entry.key}: its safetensors hold {held} numbers, and config.json needs {needed}.")
        options: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
        network = cls.from_pretrained(folder, use_safetensors=True, local_files_only=True, **options)
        loaded: torch.nn.Module = network.to(device).eval()
        return loaded
