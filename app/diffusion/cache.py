"""Loaded models of one device: the least recently used one goes when memory is needed, not when a count is reached."""

import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import torch

from app.catalog import ModelEntry
from app.core.errors import OutOfMemory
from app.core.settings import MachineSize, Tier
from app.diffusion.compiled.choose import Computing
from app.diffusion.control_models import ControlModels, fits_together
from app.diffusion.machine import choose_device, memory
from app.diffusion.pipelines import (
    LoadedModel,
    OnEvent,
    check_model,
    common_parts,
    load_pipeline,
    parts_of_checked,
    release,
)
from app.diffusion.placement import room_of, tile
from app.diffusion.redrawing import redrawer
from app.diffusion.seers import Seer
from app.diffusion.shared import SharedParts, bytes_of
from app.diffusion.small_decoder import DecodedPreviews, read_decoder
from app.diffusion.sources import Source
from app.diffusion.stamps import stamp
from app.diffusion.upscalers import Upscaler, Upscalers
from app.diffusion.vaes import Vaes
from app.families import family_of
from app.tiers.choose import GPU_FIXED, PROCESS, choose, expected, lower
from app.tiers.plan import Plan

NOTHING_LOWER = "A smaller model would need less; so would other programs that are closed."


class ModelCache:
    """Loads each model once. `load` and `unload` are for one thread; `loaded` for any.

    `budget_bytes` bounds the weights of all loaded models; absent, the device's free memory does. `download` allows
    a hub model that is not installed to be fetched. How a model is laid out in memory is measured, unless `tier` or
    `machine_size` says it. `computing`: whether OpenVINO may compute instead of torch; by default it does not.
    """

    def __init__(
        self,
        device: str | torch.device | None = None,
        *,
        budget_bytes: int | None = None,
        machine_size: MachineSize | None = None,
        tier: Tier | None = None,
        download: bool = False,
        computing: Computing | None = None,
    ) -> None:
        self.device = device if isinstance(device, torch.device) else choose_device(device)
        self._budget = budget_bytes
        self._machine_size = machine_size
        self._tier = tier
        self._computing = computing or Computing()
        self._sources: dict[str, Source] = {}
        self._download = download
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()
        self._parts = SharedParts()
        self._controls = ControlModels(self.device)
        self._upscalers = Upscalers(self.device)
        self._staying: str | None = None  # the model beside which another is loaded
        self._vaes = Vaes(self.device)
        self._lock = threading.RLock()

    def load(
        self, entry: ModelEntry, folder: Path, on_event: OnEvent | None = None, *, download: bool = False
    ) -> LoadedModel:
        """The model, ready to run; nearly free if it is loaded and its files are as they were. `folder`: of the models.

        With it the control models, the upscaler and the VAE that `entry` names; the first two are read once, whichever
        models they are for.

        Raises ModelNotInstalled, ModelRefused, OutOfMemory (after everything else was unloaded for it).
        """
        with self._lock:
            known = self._sources.get(entry.key)
            if known is not None and entry.key in self._models:
                if known.stamp == stamp(entry, folder, known.checked):
                    self._models.move_to_end(entry.key)
                    return self._keep(replace(known, entry=entry), self._models[entry.key])
                self.unload(entry.key)  # its files are others now: what is in memory is another model
            checked = check_model(entry, folder, on_event, download=download or self._download)
            before = stamp(entry, folder, checked)  # before they are read: a change meanwhile is found the next time
            source = Source(entry, checked, parts_of_checked(checked), folder, on_event, before)
            plan = self._plan(source)
            # Held while others are unloaded for this model: what it has in common with them must survive that.
            parts = common_parts(entry, checked, self.device, plan, self._parts)
            self._make_room(source, plan, bytes_of(parts.values()))
            return self._keep(source, self._load_or_evict(source, plan))

    def upscaler(self, entry: ModelEntry, folder: Path, on_event: OnEvent | None = None) -> Upscaler:
        """The model as what makes pictures larger; one that is a pipeline is kept as those that draw are.

        Raises what `load` raises.
        """
        with self._lock:
            if family_of(entry.pipeline).redraws is None:
                return self._upscalers.load(entry, folder)
            return redrawer(self.load(entry, folder, on_event))

    def seer(self, entry: ModelEntry, folder: Path) -> Seer:
        """The model that is a preprocessor, kept as control models are. Raises ModelRefused, OutOfMemory."""
        with self._lock:
            if not self._fits(self._controls.missing_bytes([entry])):
                self._controls.keep_only([entry])
            seer: Seer = self._controls.load([entry], folder, torch.float32)[entry.key]
            return seer

    def lower(self, loaded: LoadedModel, *, decoding: bool) -> LoadedModel | None:
        """The same model laid out so that it needs less memory; None if it cannot be. `loaded` must not be used after.

        `decoding`: memory ran out at the VAE, so that decoding in tiles is tried first. Everything else is unloaded
        for it. Raises what `load` raises.
        """
        with self._lock:
            source = self._sources.get(loaded.entry.key)
            if source is None or self._models.get(loaded.entry.key) is not loaded:
                return None
            if decoding and not loaded.plan.vae_tiling and tile(loaded.pipe, True):
                loaded.plan = self._expected(source, replace(loaded.plan, vae_tiling=True))
                return loaded
            plan = self.below(loaded)
            if plan is None:
                return None
            self.clear()
            return self._keep(source, replace(self._load(source, plan), planned=loaded.planned))

    def below(self, loaded: LoadedModel) -> Plan | None:
        """The plan under a model's own; None if there is none."""
        source = self._sources.get(loaded.entry.key)
        if source is None:
            return None
        return lower(loaded.plan, source.parts, room_of(self.device), source.pixels, source.packages)

    def settle(self, loaded: LoadedModel) -> None:
        """After a run on a lowered model: what changes pixels goes back, so that the next picture is as it would be."""
        planned = loaded.planned
        if planned is None or loaded.plan.lossless or loaded.plan == planned:
            return
        if loaded.plan.tier is planned.tier and tile(loaded.pipe, planned.vae_tiling):
            loaded.plan = planned
        else:
            self.unload(loaded.entry.key)

    def unload(self, key: str) -> bool:
        """Free the memory of one model, control model or upscaler. False if it was not loaded."""
        with self._lock:
            for model in self._models.values():
                if model.upscaler is not None and model.upscaler.entry.key == key:
                    model.upscaler = None
            if self._upscalers.unload(key):
                return True
            if self._controls.unload(key):
                for model in self._models.values():
                    model.controls.pop(key, None)
                return True
            loaded = self._models.pop(key, None)
            self._sources.pop(key, None)
            if loaded is None:
                return False
            release(loaded)
            return True

    def clear(self) -> None:
        """Unload everything."""
        self._vaes.forget()
        for key in self.loaded():
            self.unload(key)

    def loaded(self) -> tuple[str, ...]:
        """Keys of the loaded models, the least recently used first; then those of control models and upscaler."""
        return (*self._models, *self._controls.loaded(), *self._upscalers.loaded())

    def _keep(self, source: Source, loaded: LoadedModel) -> LoadedModel:
        loaded.loras.folder = loaded.embeddings.folder = source.folder
        self._models[source.entry.key] = loaded
        self._sources[source.entry.key] = source
        try:
            self._hold(source, loaded)
        except OutOfMemory:
            lowered = self.lower(loaded, decoding=False)
            if lowered is None:
                raise
            return lowered
        return loaded

    def _hold(self, source: Source, loaded: LoadedModel) -> None:
        """Give a model the control models that its entry names, and room to them."""
        wanted = source.entry.controls
        if need := self._controls.missing_bytes(wanted):
            if not self._fits(need):
                self._controls.keep_only(wanted)
            while len(self._models) > 1 and not self._fits(need):
                self.unload(next(key for key in self._models if key != source.entry.key))
        found = self._controls.load(wanted, source.folder, loaded.dtype)
        fits_together(found, loaded.pipe, loaded.plan.tier)
        loaded.controls = {**found}
        upscaler = source.entry.upscaler
        loaded.upscaler = self._beside(source, upscaler) if upscaler else None
        vae = source.entry.vae
        loaded.vae = self._vaes.load(vae, source.folder, source.checked, loaded.dtype) if vae else None
        if source.entry.decoder and loaded.decoder is None:
            loaded.decoder = read_decoder(source.entry, source.folder, loaded.pipe, self.device, loaded.dtype)
            if loaded.preview_fit is not None:
                loaded.previews = DecodedPreviews(loaded.decoder, loaded.preview_fit)

    def _beside(self, source: Source, upscaler: ModelEntry) -> Upscaler:
        """The upscaler, for which the model of `source` is not unloaded."""
        self._staying = source.entry.key
        try:
            return self.upscaler(upscaler, source.folder)
        finally:
            self._staying = None

    def _oldest(self) -> str | None:
        """The model that is unloaded first, if one may be."""
        return next((key for key in self._models if key != self._staying), None)

    def _plan(self, source: Source) -> Plan:
        """How the model would be laid out if the others were unloaded for it. Raises OutOfMemory if it cannot run."""
        room = room_of(self.device)
        more = self._held() - self._controls.missing_bytes(source.entry.controls)
        if (staying := self._models.get(self._staying or "")) is not None:
            more -= staying.weight_bytes
        if room.vram is None:
            room = replace(room, ram_free=max(0, (room.ram_free or 0) + more))
        else:
            room = replace(room, vram_free=max(0, (room.vram_free or 0) + more))
        plan = choose(
            source.parts,
            room,
            source.pixels,
            size=self._machine_size,
            tier=self._tier,
            packages=source.packages,
        )
        if not plan.fits:
            raise OutOfMemory(f"{source.entry.title} does not fit into this machine's memory.", hint=plan.hint)
        return plan

    def _expected(self, source: Source, plan: Plan) -> Plan:
        return expected(plan, source.parts, room_of(self.device), source.pixels)

    def _load(self, source: Source, plan: Plan) -> LoadedModel:
        return load_pipeline(
            source.entry,
            source.checked,
            self.device,
            plan,
            on_event=source.on_event,
            shared=self._parts,
            computing=self._computing,
            files=source.stamp,
        )

    def _load_or_evict(self, source: Source, plan: Plan) -> LoadedModel:
        """Load; if memory runs out, without the others; and if that is not enough, once more one tier lower."""
        while True:
            try:
                return self._load(source, plan)
            except OutOfMemory:
                if (oldest := self._oldest()) is None:
                    break
            self.unload(oldest)
        room = room_of(self.device)
        below = lower(plan, source.parts, room, source.pixels, source.packages)
        if below is None:
            raise OutOfMemory(f"There is not enough memory to load {source.entry.title}.", hint=NOTHING_LOWER)
        loaded = self._load(source, below)
        loaded.retried = f"out of memory while loading with {plan.name()}; loaded again with {below.name()}"
        return loaded

    def _make_room(self, source: Source, plan: Plan, shared_bytes: int) -> None:
        if self._budget is not None:
            need = source.checked.weight_bytes - shared_bytes
        else:
            need = (plan.expected_vram or plan.expected_ram) - (GPU_FIXED if plan.expected_vram else PROCESS)
            need -= shared_bytes
        while (oldest := self._oldest()) is not None and not self._fits(max(0, need)):
            self.unload(oldest)

    def _fits(self, need: int) -> bool:
        if self._budget is not None:
            return need + self._held() <= self._budget
        free, _ = memory(self.device)
        return need <= free

    def _held(self) -> int:
        """Bytes of the weights of all loaded models."""
        models = bytes_of(part for model in self._models.values() for part in model.pipe.components.values())
        return models + self._controls.bytes()
