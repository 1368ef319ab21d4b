"""Which plan a model gets on a machine: the first of a ladder that fits.

Nothing that changes pixels is chosen while something that does not would fit.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from app.core.settings import MachineSize, Tier
from app.tiers.model_parts import DECODE_TILE_PIXELS, ModelParts
from app.tiers.plan import PACKAGES, Plan

GB = 10**9
GPU_SHARE = 0.92  # of a card's memory: drivers and fragmentation take the rest
GPU_FIXED = 600 * 10**6  # CUDA context and the workspaces of its libraries
PROCESS = 1_500 * 10**6  # a process with torch and diffusers, before any weights
RAM_KEPT_FREE = 2 * GB  # for everybody else, or a tenth of the machine if that is more
PINNED_SHARE = 0.7  # of the RAM: page-locked memory cannot be swapped, and the system needs room to live
# Bytes for each parameter of the denoiser beside 2 in 16 bit; norms and embeddings stay as they are.
_STORED = {Tier.FP8: 1.06, Tier.FP8_OFFLOAD: 1.06, Tier.INT8: 1.06, Tier.INT4: 0.6}
_STORED_UNET = 1.5  # 8 and 4 bit are for matrices: convolutions stay in 16 bit
_STREAMED_LAYERS = 0.02  # of the denoiser: two of its layers and what is prefetched
_STREAMED_ENCODER = 0.15  # of an encoder: its table of words is one layer
_BY_SIZE = {
    MachineSize.BIG: (Tier.RESIDENT, False),
    MachineSize.MEDIUM: (Tier.RELEASED, False),
    MachineSize.LITTLE: (Tier.MODEL_OFFLOAD, True),
    MachineSize.TINY: (Tier.GROUP_OFFLOAD, True),
}
# A CPU has no second memory that layers could be kept in.
_ON_CPU = {Tier.MODEL_OFFLOAD: Tier.RELEASED, Tier.GROUP_OFFLOAD: Tier.RELEASED, Tier.FP8_OFFLOAD: Tier.FP8}


@dataclass(frozen=True)
class Room:
    """The memory of a machine in bytes. `vram` None: no GPU. `fast_half`: a CPU that computes bfloat16 natively.

    `*_free` is what nobody uses now; absent, all of it.
    """

    ram: int
    vram: int | None = None
    ram_free: int | None = None
    vram_free: int | None = None
    fast_half: bool = False

    @property
    def usable_vram(self) -> int | None:
        """What a model may take of the GPU if nobody else uses it."""
        return None if self.vram is None else int(self.vram * GPU_SHARE)

    @property
    def usable_ram(self) -> int:
        """What a model may take of the RAM if nobody else uses it."""
        return max(0, self.ram - max(RAM_KEPT_FREE, self.ram // 10))

    def now(self) -> "Room":
        """The room that is there right now, with the same shares."""
        vram = self.vram if self.vram_free is None else self.vram_free
        ram = self.ram if self.ram_free is None else min(self.ram, self.ram_free + max(RAM_KEPT_FREE, self.ram // 10))
        return replace(self, ram=ram, vram=vram, ram_free=None, vram_free=None)


def choose(
    parts: ModelParts,
    room: Room,
    pixels: int,
    *,
    size: MachineSize | None = None,
    tier: Tier | None = None,
    packages: Collection[str] = (),
) -> Plan:
    """The plan for a model whose default picture has so many pixels. `tier`, else `size`, overrides the measurement.

    `packages` are the optional ones that are there. What is free right now decides among plans that lose nothing; what
    the machine has in all decides whether pixels are given up. If nothing fits, the smallest plan with `fits` False.
    """
    if tier is not None or size is not None:
        return _ordered(parts, room, pixels, size, tier)
    plans = [expected(plan, parts, room, pixels) for plan in ladder(parts, room, packages)]
    lossless = [plan for plan in plans if plan.lossless]
    for plan in lossless:
        if _fits(plan, room.now()):
            return _because(plan, parts, room, "the fastest that fits")
    for plan in lossless:
        if _fits(plan, room):
            return _because(plan, parts, room, "fits if other programs leave memory")
    for plan in plans:
        if _fits(plan, room):
            return _because(plan, parts, room, "nothing that keeps all pixels fits")
    smallest = min(plans, key=lambda plan: _excess(plan, room))
    return replace(_because(smallest, parts, room, "nothing fits"), fits=False, hint=_help(plans, room, packages))


def ladder(parts: ModelParts, room: Room, packages: Collection[str] = ()) -> Iterator[Plan]:
    """All plans for a kind of machine, the fastest first; those that change pixels come last."""
    if room.vram is None:
        yield Plan(Tier.RESIDENT)
        yield Plan(Tier.RELEASED)
        if not room.fast_half:  # slower on such a CPU, but half the memory
            yield Plan(Tier.RESIDENT, half=True)
            yield Plan(Tier.RELEASED, half=True)
        lossy: tuple[Tier, ...] = (Tier.INT8, Tier.FP8)
    else:
        yield Plan(Tier.RESIDENT)
        yield Plan(Tier.RELEASED)
        yield Plan(Tier.MODEL_OFFLOAD)
        yield Plan(Tier.GROUP_OFFLOAD, pinned=True)
        yield Plan(Tier.GROUP_OFFLOAD)
        yield Plan(Tier.GROUP_OFFLOAD, vae_tiling=True)
        lossy = (Tier.INT8, Tier.FP8, Tier.INT4, Tier.FP8_OFFLOAD)
    for tier in () if parts.one_file else lossy:
        if PACKAGES.get(tier, "") in ("", *packages):
            yield Plan(tier, vae_tiling=True, half=room.vram is None and not room.fast_half)


def lower(plan: Plan, parts: ModelParts, room: Room, pixels: int, packages: Collection[str] = ()) -> Plan | None:
    """The next plan down the ladder that needs less memory than this one; None if this is the last."""
    here = expected(plan, parts, room, pixels)
    rungs = [expected(item, parts, room, pixels) for item in ladder(parts, room, packages)]
    places = [i for i, item in enumerate(rungs) if item.tier is plan.tier]
    for item in rungs[places[0] + 1 if places else 0 :]:
        if item.tier is not plan.tier and _need(item) < _need(here):
            return _because(item, parts, room, f"out of memory at {plan.name()}")
    return None


def expected(plan: Plan, parts: ModelParts, room: Room, pixels: int) -> Plan:
    """The plan with its expected peaks filled in, for one picture of so many pixels."""
    on_cpu = room.vram is None
    wide = 4 if on_cpu and not (plan.half or room.fast_half) else 2
    stored = _STORED_UNET if plan.tier in PACKAGES and parts.convolves else _STORED.get(plan.tier, wide)
    denoiser = int(parts.denoiser * stored)
    encoders, largest, vae = parts.encoders * wide, parts.largest_encoder * wide, parts.vae * wide
    decoded = min(pixels, DECODE_TILE_PIXELS) if plan.vae_tiling else pixels
    work = max(pixels * parts.denoise_bytes, decoded * parts.decode_bytes) * wide // 2
    if on_cpu:
        running = denoiser + vae + work
        held = max(encoders + vae, running) if plan.releases_encoders else encoders + running
        # What is released is read from the files again: while it is there, the denoiser's pages can be given back.
        return replace(plan, expected_vram=None, expected_ram=PROCESS + held)
    steps, decode = pixels * parts.denoise_bytes, decoded * parts.decode_bytes
    streamed = int(denoiser * _STREAMED_LAYERS)
    vram = {
        Tier.RESIDENT: encoders + denoiser + vae + work,
        Tier.MODEL_OFFLOAD: max(largest, denoiser + steps, vae + decode),
        Tier.GROUP_OFFLOAD: vae + max(int(largest * _STREAMED_ENCODER), streamed + steps, decode),
        Tier.FP8_OFFLOAD: vae + max(int(largest * _STREAMED_ENCODER), streamed + steps, decode),
    }.get(plan.tier, denoiser + vae + max(largest, work))
    # Weights are mapped from their files: those that are not in use can be read again and need not stay in RAM.
    ram = {
        Tier.RESIDENT: 0,
        Tier.MODEL_OFFLOAD: max(largest, denoiser),
        Tier.GROUP_OFFLOAD: denoiser,
        Tier.FP8_OFFLOAD: denoiser,
    }.get(plan.tier, largest)
    return replace(plan, expected_vram=GPU_FIXED + vram, expected_ram=PROCESS + ram)


def gigabytes(size: int) -> str:
    """`9.6 GB`, in powers of ten."""
    return f"{size / GB:.1f} GB"


def _ordered(parts: ModelParts, room: Room, pixels: int, size: MachineSize | None, tier: Tier | None) -> Plan:
    """The plan that the owner wants, whether it fits or not."""
    wanted, tiling = tier or Tier.RESIDENT, False
    if tier is None and size is not None:
        wanted, tiling = _BY_SIZE[size]
        if room.vram is None:
            # A little machine without a GPU is short of RAM for weights; pixels are given up for a tiny one only.
            wanted, tiling = _ON_CPU.get(wanted, wanted), size is MachineSize.TINY
    plan = expected(Plan(wanted, vae_tiling=tiling), parts, room, pixels)
    if wanted is Tier.GROUP_OFFLOAD:
        pinned = replace(plan, pinned=True)
        plan = pinned if _fits(pinned, room.now()) else plan
    return _because(plan, parts, room, f"asked for: {tier or size}")


def _fits(plan: Plan, room: Room) -> bool:
    vram = room.usable_vram
    if plan.expected_vram is not None and vram is not None and plan.expected_vram > vram:
        return False
    if plan.pinned and plan.expected_ram > room.ram * PINNED_SHARE:
        return False
    return plan.expected_ram <= room.usable_ram


def _excess(plan: Plan, room: Room) -> int:
    over_gpu = max(0, (plan.expected_vram or 0) - (room.usable_vram or 0))
    return over_gpu + max(0, plan.expected_ram - room.usable_ram)


def _need(plan: Plan) -> int:
    return plan.expected_ram if plan.expected_vram is None else plan.expected_vram


def _because(plan: Plan, parts: ModelParts, room: Room, why: str) -> Plan:
    wide = 4 if room.vram is None and not (plan.half or room.fast_half) else 2
    weights = gigabytes(parts.total * wide)
    there = f"{gigabytes(room.ram)} RAM" if room.vram is None else f"{gigabytes(room.vram)} VRAM"
    if plan.half:
        why += "; computed in bfloat16, because float32 would take twice the memory"
    return replace(plan, reason=f"{why} (weights {weights}, {there})")


def _help(plans: list[Plan], room: Room, packages: Collection[str]) -> str:
    """What would make the model run: memory, or the optional packages."""
    if room.vram is None:
        need = min(plan.expected_ram for plan in plans)
        text = f"It needs about {gigabytes(_whole(need))} of RAM"
    else:
        smallest = min(plans, key=lambda plan: (plan.expected_vram or 0, plan.expected_ram))
        lightest = min(plans, key=lambda plan: plan.expected_ram)
        text = (
            f"It needs about {gigabytes(int((smallest.expected_vram or 0) / GPU_SHARE))} of GPU memory with "
            f"{gigabytes(_whole(smallest.expected_ram))} of RAM"
        )
        if lightest.expected_ram < smallest.expected_ram:
            gpu = int((lightest.expected_vram or 0) / GPU_SHARE)
            text += f", or {gigabytes(gpu)} with {gigabytes(_whole(lightest.expected_ram))}"
    missing = sorted(set(PACKAGES.values()) - set(packages))
    extra = f", or the optional packages for 8 and 4 bit ({', '.join(missing)})" if missing else ""
    return f"{text}; a smaller model{extra} would help too."


def _whole(usable: int) -> int:
    """The RAM a machine must have so that so much of it can be used."""
    return max(usable + RAM_KEPT_FREE, usable * 10 // 9)
