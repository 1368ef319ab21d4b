"""The models tab: what is installed, how big it is, what is in memory; load and unload."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.core.errors import ServiceError
from app.ui.actions import html_part
from app.ui.studio import QUIET, Studio
from app.ui.views.models import models_page

EVERY_S = 1.0


@dataclass(frozen=True)
class ModelsTab:
    """The components that other files wire up."""

    page: gr.HTML
    clock: gr.Timer


def create_models_tab(studio: Studio) -> ModelsTab:
    """Lay the tab out. Call it inside the tab."""
    page = html_part("at-models")
    clock = gr.Timer(EVERY_S, active=False)
    clock.tick(ModelsEvents(studio).show, None, page, **QUIET)
    return ModelsTab(page, clock)


class ModelsEvents:
    """The events of the tab, for one studio."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def show(self, request: gr.Request) -> Any:
        """All models and the memory of each device."""
        try:
            models = self._studio.link.models()
        except ServiceError:
            return gr.skip()
        return models_page(models, self._studio.link.state().status, self._studio.words(request))

    def load(self, key: str) -> None:
        """Ask for a model; the clock shows how far it is."""
        self._studio.link.ask(lambda: self._studio.link.client.load_model(key))
        self._studio.link.models_changed()

    def unload(self, key: str) -> None:
        """Free a model's memory."""
        self._studio.link.ask(lambda: self._studio.link.client.unload_model(key))
        self._studio.link.models_changed()
