"""The table of families says what diffusers has, and nothing else in the product names a pipeline's class."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import diffusers
import pytest
from diffusers.pipelines.auto_pipeline import (
    AUTO_IMAGE2IMAGE_PIPELINES_MAPPING,
    AUTO_INPAINT_PIPELINES_MAPPING,
    AUTO_TEXT2IMAGE_PIPELINES_MAPPING,
)

from app.core.samplers import find_sampler
from app.core.task import Task
from app.diffusion.noise import NOISE
from app.diffusion.noised import STEPS
from app.families import CONTROL_MODELS, FAMILIES, IP_ADAPTER, REDRAWERS, Family, family_of, is_known
from app.families.family import HELD

APP = Path(__file__).resolve().parents[1] / "app"
PIPELINE_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*Pipeline")
BY_TITLE = pytest.mark.parametrize("family", FAMILIES, ids=[family.title for family in FAMILIES])


def strings_that_run(file: Path) -> Iterator[tuple[int, str]]:
    """Every text of a file with its line, docstrings left out."""
    tree = ast.parse(file.read_text("utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body
        if isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def test_no_other_room_names_the_class_of_a_pipeline() -> None:
    named = [
        f"{file.relative_to(APP)}:{line} {text}"
        for file in sorted(APP.rglob("*.py"))
        if file.parent != APP / "families"
        for line, text in strings_that_run(file)
        if PIPELINE_CLASS.fullmatch(text)
    ]
    assert named == []


@BY_TITLE
def test_one_that_starts_from_pictures_by_words_alone_asks_for_its_steps_where_they_can_be_left_out(
    family: Family,
) -> None:
    if Task.IMAGE in family.tasks and family.tasks[Task.IMAGE] == family.tasks.get(Task.TEXT):
        cls = getattr(diffusers, family.tasks[Task.TEXT])
        assert STEPS in inspect.unwrap(cls.__call__).__code__.co_names
        assert "strength" not in inspect.signature(cls.__call__).parameters
        assert family.tasks[Task.INPAINT] == family.tasks[Task.TEXT]


@BY_TITLE
def test_the_first_noise_of_every_task_can_be_varied(family: Family) -> None:
    held = (name for tasks in family.controls.values() for name in tasks.values())
    for name in (*family.tasks.values(), *held):
        cls = getattr(diffusers, name)
        if "DummyObject" not in type(cls).__name__:
            assert NOISE in cls.prepare_latents.__code__.co_names, name


@BY_TITLE
def test_a_family_makes_a_picture_from_a_prompt_alone_or_with_one_picture(family: Family) -> None:
    cls = getattr(diffusers, family.pipeline)
    if "DummyObject" in type(cls).__name__:
        pytest.skip(f"{family.pipeline} needs {cls._backends}")
    parameters = inspect.signature(cls.__call__).parameters
    assert "prompt" in parameters
    assert not {"image", "control_image"} & {key for key, p in parameters.items() if p.default is p.empty}
    assert family.guidance.parameter in parameters


@BY_TITLE
def test_a_family_has_the_pipeline_of_each_task_that_diffusers_has_for_it(family: Family) -> None:
    for name in family.tasks.values():
        assert hasattr(diffusers, name)
    kinds = [kind for kind, cls in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.items() if cls.__name__ == family.pipeline]
    for task, table in (
        (Task.IMAGE, AUTO_IMAGE2IMAGE_PIPELINES_MAPPING),
        (Task.INPAINT, AUTO_INPAINT_PIPELINES_MAPPING),
    ):
        for kind in kinds:
            if kind in table and table[kind].__name__ != family.tasks.get(Task.EDIT):  # which is no such task
                assert family.tasks[task] == table[kind].__name__


@BY_TITLE
def test_a_family_goes_on_from_a_picture_or_changes_it_as_it_is_told_never_both(family: Family) -> None:
    assert not {Task.IMAGE, Task.EDIT} <= set(family.tasks)
    assert not family.references or family.can(Task.EDIT)


@BY_TITLE
def test_the_samplers_of_a_family_are_samplers(family: Family) -> None:
    assert all(find_sampler(name) for name in family.samplers or ())


@BY_TITLE
def test_the_pipelines_of_a_family_take_what_its_ip_adapters_see(family: Family) -> None:
    assert set(family.adapters) <= {control.pipeline for control in CONTROL_MODELS}
    if IP_ADAPTER not in family.adapters:
        return
    named = {family.tasks[task] for task in HELD}
    named |= {tasks[task] for tasks in family.controls.values() for task in family.beside_controls if task in tasks}
    for name in named:
        assert "ip_adapter_image_embeds" in inspect.signature(getattr(diffusers, name).__call__).parameters, name


@BY_TITLE
def test_a_family_is_held_by_control_models_that_are_known(family: Family) -> None:
    known = {control.pipeline for control in CONTROL_MODELS}
    assert set(family.controls) <= known
    assert all(issubclass(getattr(diffusers, name), diffusers.ModelMixin) for name in family.controls)


@pytest.mark.parametrize("family", REDRAWERS, ids=[family.title for family in REDRAWERS])
def test_a_pipeline_that_redraws_takes_what_it_is_called_with(family: Family) -> None:
    cls = getattr(diffusers, family.pipeline)
    taken = set(inspect.signature(cls.__call__).parameters)
    assert family.redraws is not None
    assert {"prompt", "negative_prompt", "image", "latents", "generator", "callback", "output_type"} <= taken
    assert ("noise_level" in taken) is (not family.redraws.latent)
    assert (family.only_enlarges, family.in_parts, family.denoises) == (True, True, False)
    assert family_of(family.pipeline) is family
    assert is_known(family.pipeline)


def test_each_family_is_told_by_a_class_of_its_own() -> None:
    assert len({family.pipeline for family in FAMILIES}) == len(FAMILIES)
    assert all(family_of(family.pipeline) is family and is_known(family.pipeline) for family in FAMILIES)


def test_nothing_is_claimed_of_a_class_that_nobody_knows() -> None:
    assert not is_known("SurprisePipeline")
    assert family_of("SurprisePipeline").samplers is None
    assert family_of(None).loras == ()
