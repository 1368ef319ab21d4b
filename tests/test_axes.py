"""What people write for the axes of a grid, as A1111's X/Y/Z plot reads it, and what is refused by name."""

import pytest

from app.core.axes import axis_kinds, read_axis
from app.core.errors import InvalidRequest
from app.core.grids import GridRequest, Plan, plan
from app.core.schema import GenerationRequest

NUMBERS = [
    ("1, 2,4", (1, 2, 4)),
    ("1-5", (1, 2, 3, 4, 5)),
    ("5-3", (5, 4, 3)),
    ("1-10 (+3)", (1, 4, 7, 10)),
    ("10-1 (-4)", (10, 6, 2)),
    ("1-10 [4]", (1, 4, 7, 10)),
    ("1-2, 8", (1, 2, 8)),
]


@pytest.mark.parametrize(("text", "values"), NUMBERS)
def test_whole_numbers_are_read_as_a1111_reads_them(text: str, values: tuple[int, ...]) -> None:
    assert read_axis("x", "Steps", text, most=100, seed=0).values == values


def test_fractions_come_out_as_they_are_written() -> None:
    assert read_axis("x", "cfg", "0.1-0.5 (+0.1)", most=100, seed=0).values == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert read_axis("x", "cfg", "0-1 [5]", most=100, seed=0).values == (0.0, 0.25, 0.5, 0.75, 1.0)


def test_words_may_hold_commas_in_quotes_and_a_random_seed_is_drawn() -> None:
    assert read_axis("x", "prompt", '"a cat, a dog", a bird', most=9, seed=0).values == ("a cat, a dog", "a bird")
    assert read_axis("x", "seed", "-1, 2", most=9, seed=77).values == (77, 2)
    assert read_axis("x", "inpaint_full_res", "true,false", most=9, seed=0).values == (True, False)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("steps", "1-1000000", "has 1000000 values; allowed are 1 to 100"),
        ("steps", "1-5 (+0)", "the step 0 does not lead from 1 to 5"),
        ("steps", "1-5 (-1)", "the step -1 does not lead from 1 to 5"),
        ("steps", "many", "neither a whole number nor a span"),
        ("steps", "0", "greater than or equal to 1"),
        ("steps", [1.5], "allowed is a whole number"),
        ("steps", [True], "allowed is a whole number"),
        ("cfg", "nan", "finite"),
        ("size", "128", "WIDTHxHEIGHT"),
        ("inpaint_full_res", "perhaps", "neither true nor false"),
        ("prompt", " , ,", "at least one value"),
        ("seed", ",".join(["1"] * 101), "at most 100 values"),
    ],
)
def test_a_value_that_is_none_is_refused_with_what_is_allowed(name: str, values: object, said: str) -> None:
    with pytest.raises(InvalidRequest, match=r"x\.values") as refused:
        read_axis("x", name, values, most=100, seed=0)
    assert said in refused.value.message


def test_every_plain_parameter_can_be_an_axis_and_an_unknown_one_is_told_them_all() -> None:
    assert {"prompt", "model", "seed", "guidance_scale", "scheduler", "strength", "size"} <= set(axis_kinds())
    assert not {"inputs", "num_images", "extra", "task"} & set(axis_kinds())
    with pytest.raises(InvalidRequest, match=r"x\.name.*prompt_sr"):
        read_axis("x", "colour", "1", most=9, seed=0)


def planned(most: int = 100, **axes: tuple[str, str]) -> Plan:
    given = {place: {"name": name, "values": values} for place, (name, values) in axes.items()}
    request = GenerationRequest(prompt="a red apple", negative_prompt="red")
    return plan(GridRequest.model_validate({"request": request, **given}), max_cells=most, seed=5)


def test_cells_come_row_by_row_and_share_the_seed_that_was_drawn() -> None:
    made = planned(x=("steps", "1,2"), y=("prompt_sr", "red,blue"), z=("size", "64x64,96x64"))
    assert [(c.width, c.prompt, c.negative_prompt, c.num_inference_steps) for c in made.cells[:5]] == [
        (64, "a red apple", "red", 1), (64, "a red apple", "red", 2),
        (64, "a blue apple", "blue", 1), (64, "a blue apple", "blue", 2), (96, "a red apple", "red", 1),
    ]  # fmt: skip
    assert {cell.seed for cell in made.cells} == {5}
    assert made.words(3) == "num_inference_steps = 2, prompt_sr = blue, size = 64x64"


def test_words_are_replaced_in_a_prompt_that_another_axis_brings() -> None:
    made = planned(x=("prompt_sr", "cat,dog"), y=("prompt", "a cat,one cat"))
    assert [cell.prompt for cell in made.cells] == ["a cat", "a dog", "one cat", "one dog"]


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"x": ("prompt_sr", "green,blue")}, "must be words of the prompt"),
        ({"x": ("seed", "1-9"), "y": ("steps", "1-12")}, "108 pictures"),
        ({"x": ("seed", "1"), "y": ("seed", "2")}, "each parameter may be one axis"),
        ({"x": ("size", "64x64"), "y": ("width", "64")}, "it stands for width and height"),
        ({"x": ("seed", "1"), "z": ("steps", "2")}, "it needs a y axis"),
    ],
)
def test_a_grid_that_is_none_is_refused_by_name(axes: dict[str, tuple[str, str]], said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        planned(**axes)
    assert said in refused.value.message
