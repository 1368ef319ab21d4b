"""The models tab: what is installed, how big it is, what is in memory; download, load and unload."""

from collections.abc import Callable
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
    hub_id: gr.Textbox
    fetch: gr.Button


def create_models_tab(studio: Studio) -> ModelsTab:
    """Lay the tab out. Call it inside the tab."""
    with gr.Row(elem_classes="at-tight"):
        hub_id = gr.Textbox(
            label=studio.texts("download_any"), placeholder=studio.texts("download_any_placeholder"), max_lines=1,
            max_length=200, scale=4,
        )  # fmt: skip
        fetch = gr.Button(
            studio.texts("download"), size="md", min_width=130, scale=0, elem_id="at-fetch", elem_classes="at-beside"
        )
    page = html_part("at-models")
    clock = gr.Timer(EVERY_S, active=False)
    clock.tick(ModelsEvents(studio).show, None, page, **QUIET)
    return ModelsTab(page, clock, hub_id, fetch)


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

    def act(self, act: str, key: str) -> None:
        """Do what a button of a model says; the clock shows how far it is. Raises ServiceError."""
        client = self._studio.link.client
        calls: dict[str, Callable[[str], object]] = {
            "load": client.load_model,
            "unload": client.unload_model,
            "download": client.download_model,
            "stop-download": client.cancel_download,
            "clean": client.clean_model,
        }
        if act in calls:
            self._studio.link.ask(lambda: calls[act](key))
            self._studio.link.models_changed()
