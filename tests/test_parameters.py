"""Each field of a request says once what doors and engines must know of it, and they follow."""

from typing import Annotated, Any

import pytest
from pydantic import Field

from app.core.batching import batch_key
from app.core.control import ControlUnit
from app.core.parameters import Parameter, numbers_of_infotext, parameters
from app.core.schema import GenerationRequest, JobInput, Written
from app.core.task import Task
from app.picture import infotext

RESOLVED = GenerationRequest(
    prompt="a cat", model="pocket", num_inference_steps=4, guidance_scale=1.5, width=64, height=64, seed=1,
    scheduler="default",
)  # fmt: skip
OTHER: dict[str, Any] = {
    "prompt": "a dog", "negative_prompt": "blurry", "model": "other", "num_inference_steps": 5, "guidance_scale": 2.0,
    "width": 128, "height": 128, "seed": 2, "subseed": 3, "subseed_strength": 0.25, "num_images": 2,
    "scheduler": "Euler", "clip_skip": 1, "vae": "other",
    "task": Task.IMAGE, "inputs": (JobInput(sha256="a" * 64),), "strength": 0.5,
    "control": (ControlUnit(model="edges", image="b" * 64),),
    "mask_blur": 4.5, "inpaint_full_res": True, "inpaint_full_res_padding": 8, "inpainting_fill": 0,
    "extend": (0, 0, 8, 0), "enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "hr_second_pass_steps": 3,
    "scale": 2, "top_k": 40, "top_p": 0.9, "temperature": 0.75, "language": "zh",
    "styles": ("anime",), "written": Written(prompt="{a|b}"), "extra": {"a": 1},
}  # fmt: skip


def test_every_field_of_a_request_has_its_row() -> None:
    assert list(parameters(GenerationRequest)) == list(GenerationRequest.model_fields)


def test_a_field_without_a_row_is_told_what_it_lacks() -> None:
    class Longer(GenerationRequest):
        sharpness: float = 1.0

    with pytest.raises(LookupError, match=r"Longer\.sharpness needs one Parameter.*infotext"):
        parameters(Longer)


def test_this_file_knows_another_value_of_every_field() -> None:
    assert set(OTHER) == set(GenerationRequest.model_fields), "say another value of the new field in OTHER"


@pytest.mark.parametrize("name", list(GenerationRequest.model_fields))
def test_only_what_is_said_to_be_per_row_may_differ_within_a_pass(name: str) -> None:
    changed = RESOLVED.model_copy(update={name: OTHER[name]})
    assert (batch_key(changed) == batch_key(RESOLVED)) == parameters(GenerationRequest)[name].per_row


@pytest.mark.parametrize("name", [name for name, row in parameters(GenerationRequest).items() if row.infotext])
def test_a_number_of_the_infotext_comes_back_as_it_went_in(name: str) -> None:
    changed = RESOLVED.model_copy(update={name: OTHER[name]})
    text = infotext.build(changed, 1, {})
    assert infotext.request_fields(infotext.parse(text))[name] == OTHER[name]


def test_an_infotext_counts_from_where_a1111_counts() -> None:
    class Counted(GenerationRequest):
        layers: Annotated[int, Parameter(infotext="Layers", infotext_from=1)] = Field(0)

    assert numbers_of_infotext(Counted(prompt="a", layers=2))["Layers"] == 3
    assert "Layers" not in numbers_of_infotext(Counted(prompt="a"))
