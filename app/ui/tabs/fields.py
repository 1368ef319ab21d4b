"""The form's components: made from the table of fields, read and filled by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.core.models import ModelInfo
from app.core.parameters import bounds
from app.core.schema import MAX_PROMPT_CHARS, GenerationRequest
from app.core.sizes import OWN_SIZE, RATIOS, ratio_of
from app.core.task import Task
from app.ui.form import FIELDS, Field, Form, Group, Kind, is_there
from app.ui.shell import Updates, Values
from app.ui.strings import Words
from app.ui.tabs.control_panel import ControlPanel
from app.ui.tabs.reference_panel import ReferencePanel
from app.ui.tabs.start_panel import StartPanel, frame_of

DRAWING = frozenset({Task.TEXT, Task.EDIT})  # a model that does neither is chosen elsewhere
WITH_STRENGTH = frozenset({Task.IMAGE, Task.INPAINT})
SUITS = "★"  # behind the samplers that suit the model
OWN_VAE = "–"  # how the model's own is shown
WIDEST = 1000  # a slider's end where a request has no bound of its own
Components = dict[str, gr.components.Component]


def create_fields(group: Group, texts: gr.I18n, models: Sequence[ModelInfo]) -> Components:
    """The components of a group, by the names of their fields. Call it where they shall stand."""
    return {field.name: _component(field, texts, models) for field in FIELDS if field.group is group}


def create_ratio(texts: gr.I18n) -> gr.Radio:
    """The size presets."""
    choices = [*((ratio, ratio) for ratio in RATIOS), (texts("form_own_size"), OWN_SIZE)]
    return gr.Radio(choices, label=texts("form_size"), value=RATIOS[0], elem_classes="at-aspect")


@dataclass(frozen=True)
class FormFields:
    """The form on the page: its components by name, the size presets, which no request knows, the picture to start
    from, the one that holds the new one, and those that it may speak of."""

    by_name: Mapping[str, gr.components.Component]
    ratio: gr.Radio
    start: StartPanel
    control: ControlPanel
    references: ReferencePanel

    def __getitem__(self, name: str) -> gr.components.Component:
        return self.by_name[name]

    @property
    def inputs(self) -> set[gr.components.Component]:
        """All that `read` looks at, and the size preset."""
        return {*self.by_name.values(), self.ratio, *self.control.inputs, self.references.names}

    @property
    def numbers(self) -> list[gr.components.Component]:
        """The fields that hold numbers."""
        return [self[field.name] for field in FIELDS if field.is_number]

    @property
    def outputs(self) -> list[gr.components.Component]:
        """All that `filled` changes."""
        return [*self.by_name.values(), self.ratio, self.start.frame, self.start.page, *self.control.outputs,
                *self.references.outputs]  # fmt: skip

    def read(self, values: Values) -> Form:
        """The form in what a browser sent."""
        return Form({name: values.get(component) for name, component in self.by_name.items()})

    def filled(self, form: Form, model: ModelInfo, models: Sequence[ModelInfo]) -> Updates:
        """The form's values together with the ranges and choices of its model."""
        ratio = ratio_of(form["width"], form["height"], model)
        updates: Updates = {self.ratio: ratio, self.start.frame: frame_of(model)}
        for field in FIELDS:
            limits = _limits(field, model, models)
            if field.name == "vae" and form["vae"]:  # what a recipe asks for is seen, also where it is refused
                limits["visible"] = True
            updates[self[field.name]] = gr.update(value=form[field.name], **limits)
        return updates | self.control.of_model(model, models) | self.references.of_model(model)


def _component(field: Field, texts: gr.I18n, models: Sequence[ModelInfo]) -> gr.components.Component:
    said: dict[str, Any] = {"label": texts(field.label_key), "elem_id": f"at-{field.name}"}
    if field.info:
        said["info"] = texts(field.info)
    if field.kind is Kind.TEXT:
        return gr.Textbox(
            value=field.default, lines=field.lines, max_lines=4 * field.lines + 4, max_length=MAX_PROMPT_CHARS,
            placeholder=texts(field.placeholder), autofocus=field.group is Group.PROMPT, **said,
        )  # fmt: skip
    if field.kind is Kind.NUMBER:
        said["visible"] = "hidden" if field.some else True  # until a model is chosen that has it
        return gr.Number(value=field.default, min_width=field.width, **said)  # rounds nothing: `Form.problems` says so
    if field.kind is Kind.SLIDER:
        # The widest range there is; each model narrows it when it is chosen. No reset: it would give the least.
        low, high = bounds(GenerationRequest)[field.name]
        return gr.Slider(
            low, high or WIDEST, value=field.default, step=field.step, min_width=field.width, buttons=[], **said
        )
    if field.kind is Kind.CHECK:
        return gr.Checkbox(value=field.default, min_width=field.width, **said)
    if field.kind is Kind.NAMES:
        # Their choices come with the form's values; one that is gone by now is refused by the service.
        return gr.Dropdown([], value=field.default, multiselect=True, allow_custom_value=True, **said)
    if field.choices:
        return gr.Dropdown(
            _named(field, texts), value=field.default, filterable=False, min_width=field.width,
            allow_custom_value=field.upscalers, **said,
        )  # fmt: skip
    choices = _choices(field, None, models)
    said["visible"] = field.name != "vae"  # until a model is chosen that has some
    # What a file or an older version asked for stays there to be seen; the service says whether it is allowed.
    return gr.Dropdown(
        choices, value=field.default, filterable=field.name != "model", allow_custom_value=field.optional, **said
    )


def _limits(field: Field, model: ModelInfo, models: Sequence[ModelInfo]) -> dict[str, Any]:
    span = model.ranges.get(field.name)
    if field.name == "strength":  # what only follows instructions knows none
        return {"visible": not model.tasks or not WITH_STRENGTH.isdisjoint(model.tasks)}
    if field.name == "vae":  # most people have no other
        return {"visible": bool(model.vaes), "choices": _choices(field, model, models)}
    if field.some and not is_there(field, model):
        return {"visible": "hidden"}
    shown = {"visible": True} if field.some else {}
    if span and field.kind is Kind.SLIDER:
        return {"minimum": span.low, "maximum": span.high, **shown}
    if span and field.kind is Kind.NUMBER:
        return {"step": span.multiple if field.whole else field.step, **shown}
    return {"choices": _choices(field, model, models)} if field.kind is Kind.CHOICE and not field.choices else {}


def upscaler_choices(models: Sequence[ModelInfo], words: Words) -> dict[str, Any]:
    """The ways to enlarge that a fresh page offers: our own, and the models that are here."""
    [field] = [field for field in FIELDS if field.upscalers]
    here = [(_title(each), each.key) for each in models if each.tasks == (Task.UPSCALE,) and each.installed]
    return {"choices": [*_named(field, words), *here]}


def _named(field: Field, texts: Callable[[str], Any]) -> list[tuple[Any, Any]]:
    return [(texts(f"field_{field.name}_{choice}"), choice) for choice in field.choices]


def _choices(field: Field, model: ModelInfo | None, models: Sequence[ModelInfo]) -> list[Any]:
    if field.name == "model":
        return [(_title(each), each.key) for each in models if not each.tasks or not DRAWING.isdisjoint(each.tasks)]
    if field.name == "vae":
        return [(OWN_VAE, field.default), *(model.vaes if model else ())]
    listed = model.schedulers if model else ()
    names = [field.default, *(name for name in listed if name != field.default)]
    good = {field.default, *model.good_schedulers} if model and model.good_schedulers else set()
    return [(f"{name} {SUITS}", name) if name in good else name for name in names]


def _title(model: ModelInfo) -> str:
    title = model.title or model.key
    return title if title == model.key else f"{title} ({model.key})"
