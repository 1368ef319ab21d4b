"""What happens with the fields of the generate tab: each method is one event of the page."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from app.core.errors import ServiceError
from app.core.models import ModelInfo
from app.core.schema import MAX_SEED, RANDOM_SEED
from app.core.sizes import OWN_SIZE, RATIOS, ratio_of, size_for
from app.ui.actions import Action
from app.ui.form import FIELDS, Form, Kind, beyond_good, changed_model, form_of, fresh
from app.ui.shell import Shell, Updates, Values
from app.ui.strings import Words
from app.ui.studio import Studio, default_model, find_model, settings_of
from app.ui.tabs.awaited_events import AwaitedEvents
from app.ui.tabs.control_events import ControlEvents
from app.ui.tabs.fields import upscaler_choices
from app.ui.tabs.generate_tab import GenerateTab
from app.ui.tabs.lora_events import LoraEvents
from app.ui.tabs.models_tab import ModelsEvents
from app.ui.tabs.reference_events import ReferenceEvents
from app.ui.tabs.start_events import StartEvents
from app.ui.tabs.style_events import StyleEvents
from app.ui.views.generate import advice
from app.ui.views.models import model_line
from app.ui.views.sketch import live_switch
from app.ui.views.toast import toast


class FormEvents:
    """The events, for one studio. Methods take what a visitor's page sent and give back what it should show."""

    def __init__(self, studio: Studio, shell: Shell, tab: GenerateTab) -> None:
        self._studio = studio
        self._link = studio.link
        self._shell = shell
        self._tab = tab
        self._fields = tab.fields
        self._models = ModelsEvents(studio)
        self.control = ControlEvents(studio, shell, tab.fields)
        self.start = StartEvents(studio, shell, tab.fields)
        self.references = ReferenceEvents(studio, shell, tab.fields)
        self.loras = LoraEvents(studio, tab)
        self.awaited = AwaitedEvents(studio, shell, tab)
        self.styles = StyleEvents(studio, tab)

    def choose_model(self, request: gr.Request, values: Values) -> Updates:
        """A model was chosen in the form."""
        return self.use_model(values.get(self._fields["model"]), values, self._studio.words(request))

    def use_model(self, key: str | None, values: Values, words: Words) -> Updates:
        """A model's ranges and defaults in the form, and its line. What a person means by the rest stays."""
        models = self._studio.models()
        model = find_model(models, key)
        if model is None:
            return {}
        old = self._fields.read(values)
        form = changed_model(old, model, values.get(self._fields.ratio))
        return self._changed(old, form, model, models) | self._of_model(model, words)

    def choose_ratio(self, values: Values) -> Updates:
        """Width and height of a preset."""
        ratio, model = values.get(self._fields.ratio), self._studio.model(values.get(self._fields["model"]))
        if model is None or ratio not in RATIOS:
            return {}
        width, height = size_for(ratio, model)
        return {self._fields["width"]: width, self._fields["height"]: height}

    def type_size(self, values: Values) -> Updates:
        """The preset that a typed size is, or "own"."""
        form = self._fields.read(values)
        model, width, height = self._studio.model(form["model"]), form["width"], form["height"]
        known = model is not None and width and height
        return {self._fields.ratio: ratio_of(int(width), int(height), model) if known and model else OWN_SIZE}

    def use_defaults(self, values: Values) -> Updates:
        """The model's own numbers; prompts, count and seed stay."""
        form, models = self._fields.read(values), self._studio.models()
        model = find_model(models, form["model"])
        return {} if model is None else self._changed(form, changed_model(form, model), model, models)

    def advise(self, request: gr.Request, values: Values) -> Updates:
        """Where the model draws well, if the form is not there."""
        form = self._fields.read(values)
        model = self._studio.model(form["model"])
        text = "" if model is None else advice(form, model, self._studio.words(request))
        return {self._tab.advice: text}

    def use_good(self, event: gr.EventData, values: Values) -> Updates:
        """The model's defaults for what is beyond where it draws well."""
        form = self._fields.read(values)
        model = self._studio.model(form["model"])
        if model is None or Action.of(event).act != "good":
            return {}
        return {self._fields[name]: getattr(model, name) for name in beyond_good(form, model)} | {self._tab.advice: ""}

    def random_seed(self) -> Updates:
        """The seed that means: draw one."""
        return {self._fields["seed"]: RANDOM_SEED}

    def sketch_seed(self, event: gr.EventData) -> Updates:
        """The seed of the picture that was drawn while typing."""
        action = Action.of(event)
        seed = str(action.data.get("seed", ""))
        known = action.act == "sketch-seed" and seed.isascii() and seed.isdecimal() and int(seed) <= MAX_SEED
        return {self._fields["seed"]: int(seed)} if known else {}

    def act_on_model(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """The load or download button under the model list, or what waits for a download is let be."""
        words, action, key = self._studio.words(request), Action.of(event), values.get(self._fields["model"])
        if action.act == "forget-awaited":
            line = model_line(self._studio.model(key), words)
            return {self._shell.memory: self.awaited.forgotten(values), self._tab.model_line: line}
        try:
            if key:
                self._models.act(action.act, key)
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}
        return {self._tab.model_line: self.awaited.line(values, words)}

    def fill_if_empty(self, values: Values, words: Words) -> Updates:
        """The model's line; and all defaults, when the page was opened without a service."""
        models, key = self._studio.models(), values.get(self._fields["model"])
        model = find_model(models, key)
        if model is not None:
            # An open list of LoRAs stays as it is.
            return {self._tab.model_line: self.awaited.line(values, words), self._tab.live: live_switch(model, words)}
        if key or not models:
            return {}
        form = self.first({}, words)
        typed = self._fields["negative_prompt"]
        return {
            component: value for component, value in form.items() if component is not typed or not values.get(typed)
        }

    def of_request(self, made: Mapping[str, Any], words: Words) -> Updates:
        """The fields for any request, with a sentence about it. Raises ValueError for one that is none."""
        models = self._link.models()
        form, text = settings_of(made, models, words)
        model = find_model(models, form["model"]) if form else None
        filled = {} if form is None or model is None else self._fields.filled(form, model, models)
        start = self.start.of_request(made, words) | self.control.of_request(made, words, filled)
        return filled | start | self.references.of_request(made, words) | {self._shell.toast: toast(text, words)}

    def first(self, given: Mapping[str, Any], words: Words) -> Updates:
        """The fields of a fresh page: what stood in the form last, else the default model's. And the model's line.

        An empty prompt is left out: somebody may have typed already.
        """
        models = self._studio.models()
        model = find_model(models, given.get("model")) or default_model(models)
        if model is None:
            return {self._fields["prompt"]: given["prompt"]} if "prompt" in given else {}
        form = _remembered(given, model)
        updates = self._fields.filled(form, model, models) | self._of_model(model, words)
        updates[self._fields["styles"]] |= self.styles.choices()
        updates[self._fields["hr_upscaler"]] |= upscaler_choices(models, words)
        if not form["prompt"]:
            del updates[self._fields["prompt"]]
        return updates

    def _changed(self, old: Form, new: Form, model: ModelInfo, models: Sequence[ModelInfo]) -> Updates:
        """The new values. Texts that stay are left out: somebody may write on while this answer is on its way."""
        texts = [field.name for field in FIELDS if field.kind is Kind.TEXT]
        stay = {self._fields[name] for name in texts if old[name] == new[name]}
        filled = self._fields.filled(new, model, models)
        return {component: value for component, value in filled.items() if component not in stay}

    def _of_model(self, model: ModelInfo, words: Words) -> Updates:
        """What is shown of a model beside its numbers."""
        shown = {self._tab.model_line: model_line(model, words), self._tab.live: live_switch(model, words)}
        return shown | self.loras.shown(model, words)


def _remembered(given: Mapping[str, Any], model: ModelInfo) -> Form:
    try:
        return form_of(given, model) if set(given) - {"prompt"} else Form({**fresh(model).values, **given})
    except ValueError:  # the browser's storage held something else
        return fresh(model)
