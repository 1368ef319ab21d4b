"""Every sampler name means one diffusers class and configuration, and really draws."""

import pytest
from diffusers import DDIMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

from app.core.errors import InvalidRequest
from app.core.samplers import all_values
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
def test_a_name_means_its_class_and_keeps_the_models_training_values(name: str, cls: str, config: dict) -> None:
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
        ("DPM++ 2M", "DPMSolverMultistepScheduler", "DPM++ 2M"),
        ("UniPC", "UniPCMultistepScheduler", "UniPC"),
    ],
)
def test_a_flow_matching_model_gets_the_flow_form_of_a_sampler(name: str, cls: str, label: str) -> None:
    made = make_scheduler(FlowMatchEulerDiscreteScheduler(shift=3.0), name)
    assert type(made).__name__ == cls
    assert sampler_label(made) == label


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
