"""Sampler names to diffusers schedulers. Every run gets a scheduler of its own: schedulers keep state."""

import inspect
from collections.abc import Mapping
from typing import Any

import diffusers

from app.core.errors import FieldError, InvalidRequest
from app.core.samplers import (
    DEFAULT,
    SAMPLERS,
    SCHEDULE_TYPES,
    fits_flow,
    parse_scheduler,
)
from app.diffusion.kinds import Scheduler
from app.families import family_of

# Flow-matching models (SD 3.5, FLUX, Qwen-Image, Z-Image, Sana) step along another path: the same name means another
# class there, and a sampler that is not in this table has no meaning for them.
_FLOW_DPM = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
FLOW_CLASSES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "Euler": ("FlowMatchEulerDiscreteScheduler", {"stochastic_sampling": False}),
    "Euler a": ("FlowMatchEulerDiscreteScheduler", {"stochastic_sampling": True}),
    "Heun": ("FlowMatchHeunDiscreteScheduler", {}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", **_FLOW_DPM}),
    "UniPC": ("UniPCMultistepScheduler", _FLOW_DPM),
}
_SIGMA_SWITCHES = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")


def make_scheduler(base: Scheduler, name: str | None, pipeline: str | None = None) -> Scheduler:
    """A fresh scheduler for one run: the model's own (`None` or "default"), or the one of that name.

    It keeps the model's training values (betas, prediction type, shift). Raises InvalidRequest if the name is
    unknown, or its sampler or schedule type cannot work with this kind of model; `pipeline` is the model's class.
    """
    choice = parse_scheduler(name or DEFAULT)
    if choice is None:
        raise _refused(name, "allowed is default or one of: " + ", ".join(sampler.name for sampler in SAMPLERS))
    if choice.sampler is None:
        return type(base).from_config(base.config)
    flow = is_flow(base)
    known_here = family_of(pipeline).flow_samplers
    if flow and not fits_flow(choice, known_here):
        names = ", ".join(known_here)
        raise _refused(choice.value, f"this model was trained by flow matching; allowed is one of: default, {names}")
    class_name, config = (
        FLOW_CLASSES[choice.sampler.name] if flow else (choice.sampler.class_name, choice.sampler.config)
    )
    cls = getattr(diffusers, class_name)
    known = inspect.signature(cls.__init__).parameters
    unknown = set(choice.schedule.config) - set(known)
    if unknown:
        raise _refused(name, f"{choice.sampler.name} has no schedule type {choice.schedule.label} with this model")
    # A sigma schedule of the model's own must not stay switched on beside the one that was asked for.
    cleared = {key: False for key in _SIGMA_SWITCHES if key in known and choice.schedule.config}
    shift = _shift(base, known) if flow else {}
    return cls.from_config(base.config, **{**cleared, **shift, **config, **choice.schedule.config})


def with_config(own: Scheduler, changes: Mapping[str, Any]) -> Scheduler:
    """The model's own scheduler with what its catalog entry changes."""
    return type(own).from_config({**own.config, **changes}) if changes else own


def is_flow(scheduler: Scheduler) -> bool:
    """True if the model behind it was trained by flow matching."""
    return type(scheduler).__name__.startswith("FlowMatch") or bool(scheduler.config.get("use_flow_sigmas"))


def sampler_label(scheduler: Scheduler) -> str | None:
    """The A1111 name of a scheduler with its schedule type, `DPM++ 2M Karras`; None if it has none."""
    config, name = scheduler.config, type(scheduler).__name__
    table = FLOW_CLASSES if is_flow(scheduler) else {s.name: (s.class_name, s.config) for s in SAMPLERS}
    fitting = [
        label
        for label, (cls, values) in table.items()
        if cls == name and all(config.get(key) == value for key, value in values.items())
    ]
    if not fitting:
        return None
    switched_on = [key for key in _SIGMA_SWITCHES if config.get(key)]
    schedule = next((kind.label for kind in SCHEDULE_TYPES if switched_on and list(kind.config) == switched_on), None)
    return f"{fitting[0]} {schedule}" if schedule else fitting[0]


def _shift(base: Scheduler, known: Mapping[str, Any]) -> dict[str, Any]:
    """How far the model's noise levels are moved, which the classes call by two names."""
    shift = base.config.get("shift", base.config.get("flow_shift"))
    name = "shift" if "shift" in known else "flow_shift"
    return {name: shift} if shift is not None and name in known else {}


def _refused(name: str | None, allowed: str) -> InvalidRequest:
    return InvalidRequest([FieldError("scheduler", name, allowed)])
