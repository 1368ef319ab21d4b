"""What happens with the picture that holds the new one."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from app.core.control import ControlUnit, Preprocessor
from app.core.errors import ServiceError
from app.core.models import ModelInfo
from app.ui.actions import HANDED_IN, Action
from app.ui.shell import Shell, Updates
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.tabs.control_panel import fitting, units_in
from app.ui.tabs.fields import FormFields
from app.ui.views.control import control_view, no_control
from app.ui.views.toast import toast
from app.ui.visitors import visitor_of


class ControlEvents:
    """The events, for one studio."""

    def __init__(self, studio: Studio, shell: Shell, fields: FormFields) -> None:
        self._studio = studio
        self._shell = shell
        self._fields = fields
        self._panel = fields.control

    def act(self, request: gr.Request, event: gr.EventData, values: Mapping[Any, Any]) -> Updates:
        """A file was handed in, or its picture is to go."""
        words, action = self._studio.words(request), Action.of(event)
        if action.act == "remove-control":
            return self.of_units((), words)
        if action.act != HANDED_IN:
            return self._say(words.find(f"upload_{action.act}") or words("upload_failed"), words)
        data = self._studio.uploads.take(visitor_of(request.request), action.id)
        model = self._studio.model(values.get(self._fields["model"]))
        found = fitting(model, self._studio.models()) if model else []
        if data is None or not found:
            return self._say(words("upload_failed"), words)
        try:
            kept = self._studio.link.ask(lambda: self._studio.link.client.upload(data))
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}
        chosen = values.get(self._panel.model)
        control = next((each for each in found if each.key == chosen), found[0])
        usual = Preprocessor(control.control) if control.control in set(Preprocessor) else Preprocessor.NONE
        return self.of_units([ControlUnit(model=control.key, image=kept.sha256, preprocessor=usual)], words)

    def look(self, request: gr.Request, values: Mapping[Any, Any]) -> Updates:
        """Another preprocessor was chosen: what is seen now."""
        return {self._panel.page: _page(self._panel.read(values), self._studio.words(request))}

    def fields_of(self, values: Mapping[Any, Any], model: ModelInfo) -> dict[str, Any]:
        """The fields of a request; nothing for a model that no control model here fits."""
        units = self._panel.read(values) if fitting(model, self._studio.models()) else []
        return {"control": [unit.model_dump(mode="json") for unit in units]} if units else {}

    def of_request(self, made: Mapping[str, Any], words: Words, filled: Updates) -> Updates:
        """The panel as a stored request left it; `filled` says which control models can be chosen."""
        shown, model = self.of_units(units_in(made.get("control") or ()), words), self._panel.model
        return shown | ({model: {**filled[model], "value": shown[model]}} if model in shown and model in filled else {})

    def of_units(self, units: Sequence[ControlUnit], words: Words) -> Updates:
        """The panel with these units."""
        return self._panel.shown(units) | {self._panel.page: _page(units, words)}

    def _say(self, text: str, words: Words) -> Updates:
        return {self._shell.toast: toast(text, words, "bad")}


def _page(units: Sequence[ControlUnit], words: Words) -> str:
    return control_view(units[0], len(units) - 1, words) if units else no_control(words)
