"""Where the generate tab holds a picture whose edges, depth, pose or looks hold the new one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from pydantic import ValidationError

from app.core.control import LOOKS, MAX_WEIGHT, ControlUnit, Preprocessor
from app.core.models import ModelInfo
from app.core.task import ModelKind, Task
from app.ui.actions import html_part, list_of
from app.ui.shell import Updates, Values

NONE = "[]"


@dataclass(frozen=True)
class ControlPanel:
    """The components. `units` is JSON that a browser keeps: the pictures, and what the form shows of the first only."""

    frame: gr.Column
    page: gr.HTML
    units: gr.Textbox
    model: gr.Dropdown
    preprocessor: gr.Dropdown
    weight: gr.Slider
    start: gr.Slider
    end: gr.Slider

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What a person may change."""
        return [self.units, self.model, self.preprocessor, self.weight, self.start, self.end]

    @property
    def outputs(self) -> list[Any]:
        """All of it."""
        return [self.frame, self.page, *self.inputs]

    def read(self, values: Values) -> list[ControlUnit]:
        """The units in what a browser sent; of the first, as the form has it. None of what is no unit."""
        kept = units_in(values.get(self.units))
        if not kept:
            return []
        changed = {
            "model": values.get(self.model) or kept[0].model, "image": kept[0].image,
            "preprocessor": values.get(self.preprocessor), "weight": _number(values.get(self.weight)),
            "start": _number(values.get(self.start)), "end": _number(values.get(self.end)),
        }  # fmt: skip
        first = _unit({name: value for name, value in changed.items() if value is not None})
        return [first or kept[0], *kept[1:]]

    def shown(self, units: Sequence[ControlUnit]) -> Updates:
        """The components with these units, but for the part of the page that shows their pictures."""
        kept = json.dumps([unit.model_dump(mode="json") for unit in units])
        if not units:
            return {self.units: NONE}
        first = units[0]
        return {
            self.units: kept, self.model: first.model, self.preprocessor: first.preprocessor.value,
            self.weight: first.weight, self.start: first.start, self.end: first.end,
        }  # fmt: skip

    def of_model(self, model: ModelInfo, models: Sequence[ModelInfo]) -> Updates:
        """Whether it is there for a model, and which control models can be chosen."""
        found = fitting(model, models)
        choices = [(each.title or each.key, each.key) for each in found]
        return {self.frame: gr.update(visible=bool(found)), self.model: gr.update(choices=choices)}


def create_control_panel(texts: gr.I18n) -> ControlPanel:
    """Lay it out. Call it where it shall stand."""
    with (
        gr.Column(elem_id="at-control-frame", visible=False) as frame,
        gr.Accordion(texts("control"), open=False, elem_id="at-control-fold"),
    ):
        page = html_part("at-control")
        units = gr.Textbox(NONE, visible=False)
        with gr.Row(elem_classes="at-tight"):
            model = gr.Dropdown(
                [], label=texts("control_model"), elem_id="at-control-model", filterable=False, allow_custom_value=True
            )
            named = [(texts(f"control_{each}"), each.value) for each in Preprocessor]
            preprocessor = gr.Dropdown(
                named, value=Preprocessor.CANNY.value, label=texts("control_preprocessor"), filterable=False,
                elem_id="at-control-preprocessor",
            )  # fmt: skip
        with gr.Row(elem_classes="at-tight"):
            weight, start, end = (
                gr.Slider(0, most, value=usual, step=0.05, label=texts(f"control_{name}"), min_width=100, buttons=[])
                for name, most, usual in (("weight", MAX_WEIGHT, 1), ("start", 1, 0), ("end", 1, 1))
            )
    return ControlPanel(frame, page, units, model, preprocessor, weight, start, end)


def fitting(model: ModelInfo, models: Sequence[ModelInfo]) -> list[ModelInfo]:
    """The control models that are here and can hold the pictures of a model."""
    known = [each for each in models if each.tasks == (Task.CONTROL,) and each.installed]
    return [each for each in known if each.attaches_to == model.pipeline]


def missing_for(preprocessor: Preprocessor, models: Sequence[ModelInfo]) -> str | None:
    """The title of the model that is that preprocessor and is not here; None if one is, "" if none is known."""
    known = [each for each in models if each.kinds == (ModelKind.SEES,) and each.control == preprocessor]
    if any(each.installed for each in known):
        return None
    return (known[0].title or known[0].key) if known else ""


def as_looked_at(units: Sequence[ControlUnit], models: Sequence[ModelInfo]) -> list[ControlUnit]:
    """The units; those of a model that looks at its picture as it is without a preprocessor, whatever was chosen."""
    plain = {each.key for each in models if each.control == LOOKS}
    none = {"preprocessor": Preprocessor.NONE}
    return [unit.model_copy(update=none) if unit.model in plain else unit for unit in units]


def units_in(said: object) -> list[ControlUnit]:
    """The units in a JSON text or a list; none for anything else."""
    listed = said if isinstance(said, list | tuple) else list_of(said)
    found = [_unit(each) for each in listed]
    return [unit for unit in found if unit is not None]


def _unit(value: object) -> ControlUnit | None:
    try:
        return ControlUnit.model_validate(value)
    except ValidationError:
        return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
