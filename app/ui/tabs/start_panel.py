"""Where the generate tab holds a picture to start from: a part that is folded until there is one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.core.models import ModelInfo
from app.core.task import Task
from app.ui.actions import LISTEN
from app.ui.memory import StartNow
from app.ui.strings import Words
from app.ui.views.start import no_start, start_panel

# Beside its buttons: what `static/paint.js` does when another picture stands there.
DRAWN = f'{LISTEN}; const drawn = () => window.atelierStartDrawn(); drawn(); watch("value", drawn)'


@dataclass(frozen=True)
class StartPanel:
    """The components: all of it, and the part inside that holds the picture."""

    frame: gr.Column
    page: gr.HTML


def create_start_frame() -> gr.Column:
    """All of it. Fill it with `with`. Gradio's own accordion makes what is inside only when it is opened."""
    return gr.Column(elem_id="at-start-frame")


def create_start_page() -> gr.HTML:
    """The part for the picture. Call it inside the frame."""
    return gr.HTML(js_on_load=DRAWN, apply_default_css=False, elem_id="at-start")


def can_start(model: ModelInfo) -> bool:
    """True if the model makes pictures from pictures, or changes them as it is told."""
    return not {Task.IMAGE, Task.EDIT}.isdisjoint(model.tasks)


def frame_of(model: ModelInfo) -> dict[str, Any]:
    """Whether the panel is there: for a model that makes something of a picture. What is in it is kept."""
    shown: dict[str, Any] = gr.update(visible=True if can_start(model) else "hidden")
    return shown


def panel_of(made: Mapping[str, Any], words: Words) -> str:
    """The panel with what a request starts from; the empty one for a request that starts from words alone."""
    inputs = made.get("inputs")
    listed = [item for item in inputs if isinstance(item, Mapping)] if isinstance(inputs, list | tuple) else []
    found = {item.get("role") or "image": item.get("sha256") for item in listed}
    start = StartNow.read({"sha256": found.get("image"), "extend": made.get("extend")})
    mask = StartNow.read({"sha256": found.get("mask")})
    if start is None:
        return no_start(words)
    return start_panel(start.sha256, words, mask.sha256 if mask else None, start.extend)
