"""Every sampler name means one diffusers class and configuration, and really draws."""

from pathlib import Path
from typing import Any

import pytest
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)

from app.catalog import folder_entry
from app.core.errors import InvalidRequest
from app.core.samplers import SAMPLERS, all_values, find_sampler, parse_scheduler
from app.core.settings import PROJECT_FOLDER
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from app.diffusion.pipelines import LoadedModel
from app.diffusion.samplers import make_scheduler, sampler_label
from tests.diffusion.conftest import Ask

SD_CONFIG = {
    "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": "v_prediction",
    "steps_offset": 1, "clip_sample": False, "set_alpha_to_one": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "cls", "config"),
    [
        ("Euler", "EulerDiscreteScheduler", {"use_karras_sigmas": False}),
        ("Euler a", "EulerAncestralDiscreteScheduler", {}),
        ("euler_a", "EulerAncestralDiscreteScheduler", {}),
        ("DPM++ 2M", "DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": False}),
        ("DPM++ 2M Karras", "DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
        ("DPM++ 2M SDE Exponential", "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        ("Euler SGM Uniform", "EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
        ("DDIM", "DDIMScheduler", {}),
        ("UniPC", "UniPCMultistepScheduler", {}),
        ("LCM", "LCMScheduler", {}),
        ("EulerDiscreteScheduler", "EulerDiscreteScheduler", {}),
    ],
)
def test_a_name_means_its_class_and_keeps_the_models_training_values(
    name: str, cls: str, config: dict[str, Any]
) -> None:
    made = make_scheduler(DDIMScheduler(**SD_CONFIG), name)
    assert type(made).__name__ == cls
    assert made.config.beta_schedule == "scaled_linear"
    assert made.config.prediction_type == "v_prediction"
    assert {key: made.config[key] for key in config} == config


def test_default_is_a_fresh_copy_of_the_models_own() -> None:
    own = EulerDiscreteScheduler(use_karras_sigmas=True)
    made = make_scheduler(own, "default")
    assert made is not own
    assert dict(made.config) == dict(own.config)
    assert sampler_label(made) == "Euler Karras"


def test_a_schedule_that_was_asked_for_replaces_the_models_own() -> None:
    own = EulerDiscreteScheduler(use_karras_sigmas=True)
    made = make_scheduler(own, "Euler Exponential")
    assert (made.config.use_karras_sigmas, made.config.use_exponential_sigmas) == (False, True)


@pytest.mark.parametrize(
    ("name", "cls", "label"),
    [
        ("Euler", "FlowMatchEulerDiscreteScheduler", "Euler"),
        ("Euler a", "FlowMatchEulerDiscreteScheduler", "Euler a"),
        ("Heun", "FlowMatchHeunDiscreteScheduler", "Heun"),
        ("Euler Karras", "FlowMatchEulerDiscreteScheduler", "Euler Karras"),
        ("DPM++ 2M", "DPMSolverMultistepScheduler", "DPM++ 2M"),
        ("UniPC", "UniPCMultistepScheduler", "UniPC"),
    ],
)
def test_a_flow_matching_model_gets_the_flow_form_of_a_sampler(name: str, cls: str, label: str) -> None:
    made = make_scheduler(FlowMatchEulerDiscreteScheduler(shift=3.0), name, "StableDiffusion3Pipeline")
    assert type(made).__name__ == cls
    assert made.config.get("shift", made.config.get("flow_shift")) == 3.0
    assert sampler_label(made) == label


def test_the_shift_of_a_flow_matching_model_is_kept_in_both_directions() -> None:
    sana = DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0)
    made = make_scheduler(sana, "Euler", "SanaPipeline")
    assert (type(made).__name__, made.config.shift) == ("FlowMatchEulerDiscreteScheduler", 3.0)


@pytest.mark.parametrize("name", ["DPM++ 2M", "Heun", "UniPC Karras"])
def test_an_unlisted_flow_matching_pipeline_takes_euler_alone(name: str) -> None:
    assert make_scheduler(FlowMatchEulerDiscreteScheduler(), "Euler Exponential", "SomePipeline")
    with pytest.raises(InvalidRequest, match="allowed is one of: default, Euler, Euler a"):
        make_scheduler(FlowMatchEulerDiscreteScheduler(), name, "SomePipeline")


@pytest.mark.parametrize("name", ["DDIM", "LCM", "PLMS"])
def test_a_sampler_that_means_nothing_to_a_flow_matching_model_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="flow matching"):
        make_scheduler(FlowMatchEulerDiscreteScheduler(), name)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidRequest, match="'Euler z' is not allowed; allowed is default or one of: Euler a"):
        make_scheduler(DDIMScheduler(), "Euler z")


@pytest.mark.parametrize("name", all_values())
def test_every_name_that_is_offered_draws_a_picture_and_reports_itself(
    loaded: LoadedModel, ask: Ask, name: str
) -> None:
    [picture] = generate(loaded, ask(scheduler=name, num_inference_steps=4, width=32, height=32))
    label = picture.how["sampler"]
    solver = name.removesuffix(" Uniform").removesuffix(" SGM").removesuffix(" Normal")
    assert label == ("DDIM" if name == "default" else solver)


# What each name means, written down a second time by hand: class, then what its configuration must say.
SOLVER = {"use_karras_sigmas": False, "use_exponential_sigmas": False}
NAMES = {
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Euler": ("EulerDiscreteScheduler", SOLVER),
    "Heun": ("HeunDiscreteScheduler", SOLVER),
    "DPM2": ("KDPM2DiscreteScheduler", SOLVER),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", SOLVER),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", SOLVER | {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", SOLVER | {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}),
    "DPM++ 3M SDE": ("DPMSolverMultistepScheduler", SOLVER | {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}),
    "DPM++ SDE": ("DPMSolverSinglestepScheduler", SOLVER | {"algorithm_type": "sde-dpmsolver++"}),
    "DPM++ 2S": ("DPMSolverSinglestepScheduler", SOLVER | {"algorithm_type": "dpmsolver++"}),
    "UniPC": ("UniPCMultistepScheduler", SOLVER),
    "DEIS": ("DEISMultistepScheduler", SOLVER),
    "DDIM": ("DDIMScheduler", {}),
    "DDPM": ("DDPMScheduler", {}),
    "PLMS": ("PNDMScheduler", {}),
    "LCM": ("LCMScheduler", {}),
    "TCD": ("TCDScheduler", {}),
}
SCHEDULES = {
    "": {},
    "Uniform": {"timestep_spacing": "linspace"},
    "Karras": {"use_karras_sigmas": True, "use_exponential_sigmas": False},
    "Exponential": {"use_karras_sigmas": False, "use_exponential_sigmas": True},
    "SGM Uniform": {"timestep_spacing": "trailing"},
    "Normal": {"timestep_spacing": "leading"},
}


@pytest.mark.parametrize("value", all_values()[1:])
def test_every_offered_name_is_constructed_as_the_table_says(value: str) -> None:
    kind = max((kind for kind in SCHEDULES if value.endswith(kind)), key=len)
    cls, config = NAMES[value.removesuffix(kind).strip()]
    made = make_scheduler(DDIMScheduler(**SD_CONFIG), value)
    assert type(made).__name__ == cls
    wanted = {"prediction_type": "v_prediction", "beta_schedule": "scaled_linear"} | config | SCHEDULES[kind]
    assert {key: made.config[key] for key in wanted} == wanted


def test_the_table_has_every_sampler_and_every_name_for_it() -> None:
    assert list(NAMES) == [sampler.name for sampler in SAMPLERS]
    for sampler in SAMPLERS:
        for name in (sampler.name, sampler.name.upper(), f" {sampler.name} ", *sampler.aliases):
            assert find_sampler(name) is sampler
    for value, stored in [
        ("euler trailing", "Euler SGM Uniform"),
        ("Euler leading", "Euler Normal"),
        ("EULER LINSPACE", "Euler Uniform"),
        ("k_dpmpp_2m karras", "DPM++ 2M Karras"),
        ("DPMSolverMultistepScheduler", "DPM++ 2M"),
        ("Default", "default"),
    ]:
        choice = parse_scheduler(value)
        assert choice is not None
        assert choice.value == stored
    assert parse_scheduler("Euler a Karras") is None


@pytest.mark.model
# Its first noise levels are one number in float32: Heun divides by their difference, and cuts off what comes of it.
@pytest.mark.filterwarnings("ignore:divide by zero encountered in divide:RuntimeWarning")
def test_every_sampler_of_the_shipped_model_draws_a_picture_of_finite_numbers(ask: Ask) -> None:
    folder = PROJECT_FOLDER / "models" / "pocket"
    pocket = ModelCache("cpu").load(folder_entry(folder), Path("/"))
    for sampler in SAMPLERS:  # the schedule types are tried with the small model above
        value = f"{sampler.name} Karras" if sampler.sigmas else sampler.name
        [picture] = generate(pocket, ask(scheduler=value, num_inference_steps=4, guidance_scale=3.0))
        assert len(set(picture.rgb)) > 20, value
