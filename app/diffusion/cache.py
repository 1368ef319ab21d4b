"""Loaded models of one device: the least recently used one goes when memory is needed, not when a count is reached."""

import threading
from collections import OrderedDict
from pathlib import Path

import torch

from app.catalog import ModelEntry
from app.core.errors import OutOfMemory
from app.core.settings import MachineSize
from app.diffusion.machine import choose_device, memory
from app.diffusion.pipelines import (
    Checked,
    LoadedModel,
    OnEvent,
    check_model,
    common_parts,
    load_pipeline,
    release,
)
from app.diffusion.shared import SharedParts, bytes_of

HEADROOM = 1.2  # free bytes wanted for one byte of weights: the rest is for activations


class ModelCache:
    """Loads each model once. `load` and `unload` are for one thread; `loaded` for any.

    `budget_bytes` bounds the weights of all loaded models; absent, the device's free memory does. `download` allows
    a hub model that is not installed to be fetched.
    """

    def __init__(
        self,
        device: str | torch.device | None = None,
        *,
        budget_bytes: int | None = None,
        machine_size: MachineSize | None = None,
        download: bool = False,
    ) -> None:
        self.device = device if isinstance(device, torch.device) else choose_device(device)
        self._budget = budget_bytes
        self._machine_size = machine_size
        self._download = download
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()
        self._parts = SharedParts()
        self._lock = threading.RLock()

    def load(
        self, entry: ModelEntry, folder: Path, on_event: OnEvent | None = None, *, download: bool = False
    ) -> LoadedModel:
        """The model, ready to run; free of cost if it is loaded. `folder` is the models folder.

        Raises ModelNotInstalled, ModelRefused, OutOfMemory (after everything else was unloaded for it).
        """
        with self._lock:
            if entry.key in self._models:
                self._models.move_to_end(entry.key)
                return self._models[entry.key]
            checked = check_model(entry, folder, on_event, download=download or self._download)
            # Held while others are unloaded for this model: what it has in common with them must survive that.
            parts = common_parts(entry, checked, self.device, self._machine_size, self._parts)
            self._make_room(max(0, checked.weight_bytes - bytes_of(parts.values())))
            self._models[entry.key] = self._load_or_evict(entry, checked, on_event)
            self._models[entry.key].loras.folder = folder
            return self._models[entry.key]

    def unload(self, key: str) -> bool:
        """Free one model's memory. False if it was not loaded."""
        with self._lock:
            loaded = self._models.pop(key, None)
            if loaded is None:
                return False
            release(loaded)
            return True

    def clear(self) -> None:
        """Unload everything."""
        for key in self.loaded():
            self.unload(key)

    def loaded(self) -> tuple[str, ...]:
        """Keys of the loaded models, the least recently used first."""
        return tuple(self._models)

    def _load_or_evict(self, entry: ModelEntry, checked: Checked, on_event: OnEvent | None) -> LoadedModel:
        while True:
            try:
                return load_pipeline(
                    entry,
                    checked,
                    self.device,
                    machine_size=self._machine_size,
                    on_event=on_event,
                    shared=self._parts,
                )
            except OutOfMemory:
                if not self._models:
                    raise
            self.unload(next(iter(self._models)))

    def _make_room(self, need: int) -> None:
        while self._models and not self._fits(need):
            self.unload(next(iter(self._models)))

    def _fits(self, need: int) -> bool:
        if self._budget is not None:
            loaded = (part for model in self._models.values() for part in model.pipe.components.values())
            return need + bytes_of(loaded) <= self._budget
        free, _ = memory(self.device)
        return need * HEADROOM <= free
