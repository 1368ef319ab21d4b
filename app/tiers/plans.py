"""How the catalog's models would run on a machine, in words: for `doctor` and for the service."""

from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from app.core.models import ModelFacts
from app.core.settings import MachineSize, Tier
from app.families import family_of
from app.machine import Machine
from app.tiers.choose import Room, choose, gigabytes
from app.tiers.model_parts import parts_of_entry, pixels_of_entry
from app.tiers.plan import PACKAGES, WORDS, Plan

GIB = 2**30


def room_of(machine: Machine) -> Room:
    """The memory of this machine; of several GPUs the largest."""
    vram = max((gpu.memory_bytes for gpu in machine.gpus), default=None)
    return Room(machine.memory_bytes, vram, machine.memory_free_bytes, fast_half=machine.fast_bf16)


def other_room(here: Room, vram_gb: float | None, ram_gb: float | None) -> Room:
    """A machine that is not here, in GB as they are sold (GiB). No `vram_gb`, or 0, is no GPU."""
    vram = int(vram_gb * GIB) if vram_gb else None
    return Room(int(ram_gb * GIB) if ram_gb else here.ram, vram)


def plan_of(model: ModelFacts, room: Room, *, size: MachineSize | None = None, tier: Tier | None = None) -> Plan | None:
    """The plan for a model as the catalog or the service describes it; None if nothing is known of its size."""
    parts = parts_of_entry(model)
    if parts is None:
        return None
    if not family_of(model.pipeline).in_parts:  # those are held as they are
        size = tier = None
    installed = [name for name in PACKAGES.values() if find_spec(name) is not None]
    return choose(parts, room, pixels_of_entry(model), size=size, tier=tier, packages=installed)


def plan_row(plan: Plan | None) -> tuple[str, str, str]:
    """Expected peaks of GPU memory and RAM, and how it would run."""
    if plan is None:
        return "", "", "size unknown"
    vram = "" if plan.expected_vram is None else gigabytes(plan.expected_vram)
    return vram, gigabytes(plan.expected_ram), plan.name() if plan.fits else "does not fit"


def why(plan: Plan) -> str:
    """What the tier means and why it was chosen; for what does not fit, what would help."""
    if not plan.fits:
        return plan.hint
    more = "" if plan.lossless else "; changes pixels slightly"
    return f"{WORDS[plan.tier]}{more}; {plan.reason}"


def plan_json(plan: Plan | None) -> dict[str, Any] | None:
    """The plan for programs."""
    return None if plan is None else {**asdict(plan), "words": plan.words(), "lossless": plan.lossless}
