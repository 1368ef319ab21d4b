"""A request whose model is still on its way: kept by the browser, drawn when the model is here."""

from dataclasses import replace

from app.ui.actions import Action
from app.ui.markup import Markup
from app.ui.memory import Awaited, Memory
from app.ui.shell import Shell, Updates, Values
from app.ui.strings import Words
from app.ui.studio import Studio, find_model
from app.ui.tabs.generate_tab import GenerateTab
from app.ui.tabs.models_tab import ModelsEvents
from app.ui.views.downloads import awaited_line, is_here
from app.ui.views.models import model_line
from app.ui.views.toast import toast


class AwaitedEvents:
    """The events, for one studio."""

    def __init__(self, studio: Studio, shell: Shell, tab: GenerateTab) -> None:
        self._studio = studio
        self._shell = shell
        self._tab = tab
        self._models = ModelsEvents(studio)

    def begin(self, action: Action, values: Values, words: Words) -> Updates:
        """The model is downloaded, if that has not begun, and the browser keeps what is to be drawn.

        Raises ServiceError.
        """
        body, model = action.mapping("request"), self._studio.model(action.id)
        if body is None or model is None:
            return {}
        if not (model.downloading or is_here(model)):
            self._models.act("download", model.key)
        before = Memory.read(values.get(self._shell.memory))
        told = replace(before, awaited=Awaited(model.key, body)).told(before)
        text = words("download_and_draw_begun", model=model.title or model.key)
        return {self._shell.memory: told, self._shell.toast: toast(text, words)}

    def line(self, values: Values, words: Words) -> Markup:
        """The chosen model with its download, and what is awaited."""
        model = self._studio.model(values.get(self._tab.fields["model"]))
        return model_line(model, words) + awaited_line(Memory.read(values.get(self._shell.memory)).awaited, words)

    def due(self, values: Values) -> Awaited | None:
        """What can be drawn now. One whose model nobody knows any more, or whose download failed, waits on."""
        awaited = Memory.read(values.get(self._shell.memory)).awaited
        model = find_model(self._studio.models(), awaited.model) if awaited else None
        return awaited if model is not None and is_here(model) and not model.downloading else None

    def forgotten(self, values: Values) -> Markup:
        """The browser's memory without it."""
        before = Memory.read(values.get(self._shell.memory))
        return replace(before, awaited=None).told(before)
