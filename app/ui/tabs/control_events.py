"""What happens with the picture that holds the new one."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from app.core.control import ControlUnit, Preprocessor
from app.core.models import ModelInfo
from app.ui.actions import Action
from app.ui.shell import Shell, Updates, Values
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.tabs.control_panel import as_looked_at, fitting, missing_for, units_in
from app.ui.tabs.fields import FormFields
from app.ui.tabs.handed_in import handed_in, keep
from app.ui.views.control import control_view, no_control
from app.ui.views.toast import toast


class ControlEvents:
    """The events, for one studio."""

    def __init__(self, studio: Studio, shell: Shell, fields: FormFields) -> None:
        self._studio = studio
        self._shell = shell
        self._fields = fields
        self._panel = fields.control

    def act(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """A file was handed in, or its picture is to go."""
        words, action = self._studio.words(request), Action.of(event)
        if action.act == "remove-control":
            return self.of_units((), words)
        data = handed_in(self._studio, request, action, words)
        if isinstance(data, str):
            return {self._shell.toast: data}
        model = self._studio.model(values.get(self._fields["model"]))
        found = fitting(model, self._studio.models()) if model else []
        picture = keep(self._studio, data, words) if found else toast(words("upload_failed"), words, "bad")
        if isinstance(picture, str):
            return {self._shell.toast: picture}
        chosen = values.get(self._panel.model)
        control = next((each for each in found if each.key == chosen), found[0])
        usual = Preprocessor(control.control) if control.control in set(Preprocessor) else Preprocessor.NONE
        if usual.by_model and missing_for(usual, self._studio.models()) is not None:
            usual = Preprocessor.NONE
        return self.of_units([ControlUnit(model=control.key, image=picture.sha256, preprocessor=usual)], words)

    def look(self, request: gr.Request, values: Values) -> Updates:
        """Another preprocessor or control model was chosen: what is seen now."""
        return {self._panel.page: self._page(self._read(values), self._studio.words(request))}

    def fields_of(self, values: Values, model: ModelInfo) -> dict[str, Any]:
        """The fields of a request; nothing for a model that no control model here fits."""
        units = self._read(values) if fitting(model, self._studio.models()) else []
        return {"control": [unit.model_dump(mode="json") for unit in units]} if units else {}

    def of_request(self, made: Mapping[str, Any], words: Words, filled: Updates) -> Updates:
        """The panel as a stored request left it; `filled` says which control models can be chosen."""
        shown, model = self.of_units(units_in(made.get("control") or ()), words), self._panel.model
        return shown | ({model: {**filled[model], "value": shown[model]}} if model in shown and model in filled else {})

    def of_units(self, units: Sequence[ControlUnit], words: Words) -> Updates:
        """The panel with these units."""
        return self._panel.shown(units) | {self._panel.page: self._page(units, words)}

    def _read(self, values: Values) -> list[ControlUnit]:
        return as_looked_at(self._panel.read(values), self._studio.models())

    def _page(self, units: Sequence[ControlUnit], words: Words) -> str:
        if not units:
            return no_control(words)
        by_model = units[0].preprocessor.by_model
        missing = missing_for(units[0].preprocessor, self._studio.models()) if by_model else None
        return control_view(units[0], len(units) - 1, words, missing)
