"""What happens with the pictures that an instruction speaks of."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from app.core.models import ModelInfo
from app.core.task import Task
from app.ui.actions import Action
from app.ui.shell import Shell, Updates, Values
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.tabs.fields import FormFields
from app.ui.tabs.handed_in import handed_in, keep
from app.ui.views.references import references


class ReferenceEvents:
    """The events, for one studio."""

    def __init__(self, studio: Studio, shell: Shell, fields: FormFields) -> None:
        self._studio = studio
        self._shell = shell
        self._panel = fields.references

    def act(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """A file was handed in, or one of the pictures is to go."""
        words, action, names = self._studio.words(request), Action.of(event), self._panel.read(values)
        if action.act == "remove-reference":
            return self.of_names([name for name in names if name != action.id], words)
        data = handed_in(self._studio, request, action, words)
        picture = data if isinstance(data, str) else keep(self._studio, data, words)
        if isinstance(picture, str):
            return {self._shell.toast: picture}
        others = [name for name in names if name != picture.sha256]
        return self.of_names([*others, picture.sha256], words)

    def beside(
        self, start: dict[str, Any] | None, values: Values, model: ModelInfo, words: Words
    ) -> dict[str, Any] | str:
        """The fields of a request that starts from `start`, with these pictures beside it where it is an instruction
        that may speak of them; or what is wrong, in words: a mask that did not arrive, or no picture to change."""
        if start is None:
            return words("start_mask_lost")
        if not start and model.tasks and Task.TEXT not in model.tasks:
            return words("problem_needs_picture", model=model.title or model.key)
        if start.get("task") != Task.EDIT.value or not model.references:
            return start
        more = [{"role": "reference", "sha256": name} for name in self._panel.read(values)]
        return {**start, "inputs": [*start["inputs"], *more]}

    def of_request(self, made: Mapping[str, Any], words: Words) -> Updates:
        """The panel as a stored request left it."""
        inputs = made.get("inputs")
        listed = [item for item in inputs if isinstance(item, Mapping)] if isinstance(inputs, list | tuple) else []
        return self.of_names([str(item.get("sha256")) for item in listed if item.get("role") == "reference"], words)

    def of_names(self, names: Sequence[str], words: Words) -> Updates:
        """The panel with these pictures."""
        return self._panel.shown(names) | {self._panel.page: references(names, words)}
