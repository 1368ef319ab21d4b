"""What computes a model: torch, or on a processor OpenVINO. One rule for the models' process and for `doctor`."""

from dataclasses import dataclass
from importlib.util import find_spec

from app.core.models import ModelFacts
from app.core.settings import Compute, Tier
from app.families import FAMILIES, family_of
from app.tiers.choose import Room
from app.tiers.model_parts import parts_of_entry
from app.tiers.plan import Plan

PACKAGE = "openvino"
LARGE = 200_000_000  # parameters of a denoiser; a smaller one is fast anyway, and the same on every machine
COPIES = 2  # of the weights, beside torch's own: one for each size that is kept ready
WHOLE = (Tier.RESIDENT, Tier.RELEASED)  # tiers in which the denoiser stays where it is, as it is


@dataclass(frozen=True)
class Computed:
    """Who computes, and why, in a sentence. `fits_wish` is False if the owner asked for OpenVINO and torch does it."""

    by: Compute
    why: str
    fits_wish: bool = True


def installed() -> bool:
    """True if the optional package OpenVINO is here."""
    return find_spec(PACKAGE) is not None


def computed(
    model: ModelFacts,
    plan: Plan,
    wish: Compute,
    *,
    on_gpu: bool,
    there: bool,
    denoiser: int,
    weight_bytes: int,
    ram_free: int | None,
) -> Computed:
    """The rule. `there`: OpenVINO is installed; `denoiser` is in parameters, `weight_bytes` of all that it would
    compute, `ram_free` None = not known.

    A fixed rule, not a measurement at each start, so that a seed gives the same picture tomorrow.
    """
    against = ""
    if wish is Compute.TORCH:
        return Computed(Compute.TORCH, "ATELIER_COMPUTE says so")
    if on_gpu:
        return Computed(Compute.TORCH, "pictures are made on a GPU")
    if not there:
        against = f"the package {PACKAGE} is not installed"
    elif not family_of(model.pipeline).openvino:
        known = ", ".join(family.title for family in FAMILIES if family.openvino)
        against = f"OpenVINO computes only {known}"
    elif model.transformer:
        against = "its transformer is a file of its own"
    elif model.lora:
        against = "a LoRA is part of it"
    elif plan.tier not in WHOLE:
        against = f"the memory tier {plan.tier} moves or changes the weights"
    elif wish is Compute.AUTO and denoiser < LARGE:
        against = "the model is small"
    elif ram_free is not None and ram_free < COPIES * weight_bytes:
        against = "there is no room for the weights twice more"
    if against:
        return Computed(Compute.TORCH, against, fits_wish=wish is not Compute.OPENVINO)
    return Computed(Compute.OPENVINO, f"it is installed, knows {family_of(model.pipeline).title}, and there is room")


def expected_compute(model: ModelFacts, plan: Plan, room: Room, wish: Compute) -> Computed | None:
    """What would compute a model on a machine with so much memory; None if nothing is known of the model's size."""
    parts = parts_of_entry(model)
    if parts is None:
        return None
    wide = 2 if plan.half or (room.fast_half and parts.denoiser >= LARGE) else 4
    return computed(
        model,
        plan,
        wish,
        on_gpu=room.vram is not None,
        there=installed(),
        denoiser=parts.denoiser,
        weight_bytes=wide * (parts.denoiser + parts.vae),
        # Torch's own copy comes first.
        ram_free=None if room.ram_free is None else room.ram_free - wide * parts.total,
    )
