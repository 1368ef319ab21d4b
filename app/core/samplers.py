"""Samplers by the names people know. Pure tables: which names there are and which diffusers class each one means.

A `scheduler` value is an A1111 sampler name, optionally followed by a schedule type (`DPM++ 2M Karras`), or a
diffusers class name (`EulerDiscreteScheduler`), or `default`: the model's own. Case and outer blanks do not
count. Sources of the pairs: https://huggingface.co/docs/diffusers/api/schedulers/overview and A1111's
`modules/sd_samplers_kdiffusion.py`, `modules/sd_schedulers.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

DEFAULT = "default"


@dataclass(frozen=True)
class Sampler:
    """One sampler: its A1111 name, other names for it, the diffusers class and that class's configuration."""

    name: str
    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    sigmas: bool = True  # False: the class knows no Karras or exponential sigmas
    spacing: bool = True  # False: the class knows no timestep spacing
    min_steps: int = 1

    def fits(self, schedule: "ScheduleType") -> bool:
        """True if the class has the settings that the schedule type asks for."""
        wanted = set(schedule.config)
        return (self.spacing or "timestep_spacing" not in wanted) and (self.sigmas or not wanted - {"timestep_spacing"})


@dataclass(frozen=True)
class ScheduleType:
    """How the noise levels are spread: its A1111 label, its short name and the configuration that asks for it."""

    label: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    def is_called(self, name: str) -> bool:
        """True for the label, the name or an alias, in lower case."""
        return name in (self.label.lower(), self.name, *self.aliases)


SAMPLERS = (
    Sampler("Euler a", "EulerAncestralDiscreteScheduler", {}, ("k_euler_a", "euler_a"), sigmas=False),
    Sampler("Euler", "EulerDiscreteScheduler", {}, ("k_euler", "euler")),
    Sampler("Heun", "HeunDiscreteScheduler", {}, ("k_heun",)),
    Sampler("DPM2", "KDPM2DiscreteScheduler", {}, ("k_dpm_2",)),
    Sampler("DPM2 a", "KDPM2AncestralDiscreteScheduler", {}, ("k_dpm_2_a", "k_dpm_2_ancestral")),
    Sampler(
        "DPM++ 2M",
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "solver_order": 2},
        ("k_dpmpp_2m",),
    ),
    Sampler(
        "DPM++ 2M SDE",
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 2},
        ("k_dpmpp_2m_sde",),
    ),
    Sampler(
        "DPM++ 3M SDE",
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 3},
        ("k_dpmpp_3m_sde",),
    ),
    Sampler(
        "DPM++ SDE",
        "DPMSolverSinglestepScheduler",
        {"algorithm_type": "sde-dpmsolver++"},
        ("k_dpmpp_sde",),
        spacing=False,
    ),
    Sampler(
        "DPM++ 2S", "DPMSolverSinglestepScheduler", {"algorithm_type": "dpmsolver++"}, ("k_dpmpp_2s",), spacing=False
    ),
    Sampler("UniPC", "UniPCMultistepScheduler", {}, ("unipc",)),
    Sampler("DEIS", "DEISMultistepScheduler", {}, ()),
    Sampler("DDIM", "DDIMScheduler", {}, ("ddim",), sigmas=False),
    Sampler("DDPM", "DDPMScheduler", {}, ("ddpm",), sigmas=False),
    Sampler("PLMS", "PNDMScheduler", {}, ("plms", "pndm"), sigmas=False, min_steps=4),  # its Runge-Kutta start
    Sampler("LCM", "LCMScheduler", {}, ("lcm",), sigmas=False),
    Sampler("TCD", "TCDScheduler", {}, ("tcd",), sigmas=False),
)

SCHEDULE_TYPES = (
    ScheduleType("Automatic", "automatic"),
    ScheduleType("Uniform", "uniform", {"timestep_spacing": "linspace"}, ("linspace",)),
    ScheduleType("Karras", "karras", {"use_karras_sigmas": True}),
    ScheduleType("Exponential", "exponential", {"use_exponential_sigmas": True}),
    ScheduleType("SGM Uniform", "sgm_uniform", {"timestep_spacing": "trailing"}, ("trailing",)),
    ScheduleType("Normal", "normal", {"timestep_spacing": "leading"}, ("leading",)),
)

# For a flow-matching model: of the schedule types only those that Euler spreads itself.
_FLOW_SCHEDULES = {"Euler": ("automatic", "karras", "exponential")}


@dataclass(frozen=True)
class Choice:
    """A `scheduler` value understood. `sampler` None = the model's own scheduler."""

    sampler: Sampler | None
    schedule: ScheduleType

    @property
    def value(self) -> str:
        """The one spelling that is stored and shown."""
        if self.sampler is None:
            return DEFAULT
        return self.sampler.name if self.schedule.name == "automatic" else f"{self.sampler.name} {self.schedule.label}"


def find_sampler(name: str) -> Sampler | None:
    """The sampler of an A1111 name, an alias or a diffusers class name; None if there is none."""
    wanted = name.strip().lower()
    for sampler in SAMPLERS:
        if wanted in (sampler.name.lower(), *sampler.aliases):
            return sampler
    return next((sampler for sampler in SAMPLERS if sampler.class_name.lower() == wanted), None)


def find_schedule(name: str) -> ScheduleType | None:
    """The schedule type of a label or name in any case; None if there is none."""
    wanted = name.strip().lower()
    return next((kind for kind in SCHEDULE_TYPES if kind.is_called(wanted)), None)


def parse_scheduler(value: str) -> Choice | None:
    """What a `scheduler` value means, or None for an unknown one or a pair that does not fit.

    The A1111 rule: a name that ends in " " + schedule type is split there ("DPM++ 2M Karras").
    """
    if value.strip().lower() == DEFAULT:
        return Choice(None, SCHEDULE_TYPES[0])
    sampler = find_sampler(value)
    if sampler:
        return Choice(sampler, SCHEDULE_TYPES[0])
    lowered = value.strip().lower()
    for schedule in SCHEDULE_TYPES:
        for ending in (f" {name}" for name in (schedule.label.lower(), schedule.name, *schedule.aliases)):
            found = find_sampler(lowered.removesuffix(ending)) if lowered.endswith(ending) else None
            if found and found.fits(schedule):
                return Choice(found, schedule)
    return None


def fits_flow(choice: Choice, samplers: Sequence[str]) -> bool:
    """True if a flow-matching model, or another one for which only these `samplers` work, can step so."""
    if choice.sampler is None:
        return True
    name = choice.sampler.name
    return name in samplers and choice.schedule.name in _FLOW_SCHEDULES.get(name, ("automatic",))


@cache
def all_values(samplers: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Every `scheduler` value in its stored spelling, `default` first; of a family that names its samplers, those."""
    choices = [Choice(sampler, kind) for sampler in SAMPLERS for kind in SCHEDULE_TYPES if sampler.fits(kind)]
    if samplers is not None:
        choices = [choice for choice in choices if fits_flow(choice, samplers)]
    return (DEFAULT, *(choice.value for choice in choices))
