"""Control models in memory: each is read once, and held by all jobs and models that use it."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import T2IAdapter

from app.catalog import ModelEntry
from app.catalog.control import ENCODER
from app.core.errors import ModelRefused, OutOfMemory
from app.core.settings import Tier
from app.diffusion.checkpoints import check_alone
from app.diffusion.ip_adapters import IpAdapter, read_encoder, read_ip_adapter
from app.diffusion.memory import free_caches, is_out_of_memory
from app.diffusion.placement import channels_last
from app.diffusion.seers import read_seer
from app.diffusion.shared import bytes_of
from app.diffusion.stamps import Stamp, file_stamp
from app.families import IP_ADAPTER, family_of
from app.hub.disk import on_disk
from app.tiers.plan import PACKAGES

_Key = tuple[str, Stamp, torch.dtype]


class ControlModels:
    """The control models of one device. One thread; `loaded` for any."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._kept: OrderedDict[_Key, Any] = OrderedDict()

    def load(self, entries: Sequence[ModelEntry], folder: Path, dtype: torch.dtype) -> dict[str, Any]:
        """Key → control model or what it needs, ready to run in that number format.

        Raises ModelRefused, OutOfMemory.
        """
        found: dict[str, Any] = {}
        # What looks at pictures is there before what looks through it.
        for entry in sorted(entries, key=lambda each: not family_of(each.pipeline).only_sees):
            place = _folder_of(entry, folder)
            sees = family_of(entry.pipeline).sees is not None  # the same whichever model asks, and in a look
            key = (entry.key, _stamp(place), torch.float32 if sees else dtype)
            if key not in self._kept:
                self.unload(entry.key)  # of other files, or in another number format
                self._kept[key] = self._read(entry, place, dtype, found)
            self._kept.move_to_end(key)
            found[entry.key] = self._kept[key]
        return found

    def missing_bytes(self, entries: Iterable[ModelEntry]) -> int:
        """About how much memory `load` would take beside what is taken now."""
        return sum(entry.size_bytes for entry in entries if entry.key not in self.loaded())

    def bytes(self) -> int:
        """Bytes of the weights of all that are loaded."""
        return bytes_of(self._kept.values())

    def keep_only(self, entries: Iterable[ModelEntry]) -> None:
        """Free the memory of all others."""
        wanted = {entry.key for entry in entries}
        for key in self.loaded():
            if key not in wanted:
                self.unload(key)

    def unload(self, key: str) -> bool:
        """Free the memory of one. False if it was not loaded."""
        gone = [known for known in self._kept if known[0] == key]
        for known in gone:
            del self._kept[known]
        if gone:
            free_caches()
        return bool(gone)

    def loaded(self) -> tuple[str, ...]:
        """Keys, the least recently used first."""
        return tuple(dict.fromkeys(known[0] for known in tuple(self._kept)))

    def _read(self, entry: ModelEntry, place: Path, dtype: torch.dtype, found: Mapping[str, Any]) -> Any:
        problem: str
        try:
            if entry.pipeline == IP_ADAPTER:
                encoder = found[entry.encoder] if entry.encoder else read_encoder(place / ENCODER, dtype)
                model: Any = read_ip_adapter(entry, place, dtype, encoder)
            elif family_of(entry.pipeline).sees:
                model = read_seer(entry, place)
            elif family_of(entry.pipeline).only_sees:
                model = read_encoder(place, dtype)
            else:
                model = _read_net(entry, place, dtype)
            if self._device.type == "cpu":
                channels_last(model)
            return model.to(self._device).eval()
        except (OSError, ValueError, TypeError, RuntimeError, LookupError, AttributeError, MemoryError) as error:
            problem, memory_ran_out = f"{type(error).__name__}: {str(error)[:300]}", is_out_of_memory(error)
        free_caches()  # not inside `except`, whose frames keep half a model alive
        if memory_ran_out:
            raise OutOfMemory(f"There is not enough memory for the control model {entry.key}.", hint=problem)
        raise ModelRefused(f"The control model {entry.key} cannot be loaded: {problem}")


def _read_net(entry: ModelEntry, place: Path, dtype: torch.dtype) -> Any:
    cls = getattr(diffusers, family_of(entry.pipeline).pipeline)
    options = {"variant": entry.variant} if entry.variant else {}
    held = check_alone(place, cls.__name__, entry.variant)
    model = cls.from_pretrained(place, use_safetensors=True, local_files_only=True, dtype=dtype, **options)
    needed = sum(each.numel() for each in model.parameters())
    if held < needed:
        raise ValueError(f"its safetensors hold {held} numbers, and config.json needs {needed}")
    return model


def fits_together(models: Mapping[str, Any], pipe: Any, tier: Tier) -> None:
    """Raises ModelRefused for a control model that is made for another kind of the same family, or does not go with
    the memory tier."""
    denoiser = getattr(pipe, "unet", None)
    for key, model in models.items():
        if isinstance(model, IpAdapter) and tier in (Tier.FP8, Tier.FP8_OFFLOAD, *PACKAGES):
            raise ModelRefused(f"A model in the memory tier {tier} takes no IP-Adapter, such as {key}.")
        ours = _config(denoiser).get("cross_attention_dim")
        theirs = model.width() if isinstance(model, IpAdapter) else _config(model).get("cross_attention_dim")
        if denoiser is not None and theirs is not None and theirs != ours:
            raise ModelRefused(
                f"The control model {key} reads prompts {theirs} numbers wide, and this model's are {ours}."
            )
        channels = _config(denoiser).get("block_out_channels", ())
        if isinstance(model, T2IAdapter) and tuple(channels) != tuple(model.config.channels)[: len(channels)]:
            raise ModelRefused(f"The control model {key} is made for a model of another size.")


def _config(model: Any) -> Mapping[str, Any]:
    config: Mapping[str, Any] = getattr(model, "config", None) or {}
    return config


def _folder_of(entry: ModelEntry, folder: Path) -> Path:
    found = on_disk(entry).folder if entry.path is None else folder / entry.path
    if found is None or not found.is_dir():
        raise ModelRefused(f"The control model {entry.key} is not on this machine.")
    return found


def _stamp(folder: Path) -> Stamp:
    return tuple(file_stamp(file) for file in sorted(folder.iterdir()))
