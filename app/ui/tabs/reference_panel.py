"""Where the generate tab holds the pictures that an instruction speaks of, beside the one that it changes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.core.models import ModelInfo
from app.core.schema import MAX_INPUTS
from app.ui.actions import html_part, texts_of
from app.ui.memory import SHA256
from app.ui.shell import Updates


@dataclass(frozen=True)
class ReferencePanel:
    """The components. `names` is JSON that a browser keeps: the SHA-256 of each picture, in their order."""

    frame: gr.Column
    page: gr.HTML
    names: gr.Textbox

    @property
    def outputs(self) -> list[Any]:
        """All of it."""
        return [self.frame, self.page, self.names]

    def read(self, values: Mapping[Any, Any]) -> list[str]:
        """The pictures in what a browser sent; none of what is no name of one."""
        return [name for name in texts_of(values.get(self.names)) if SHA256.fullmatch(name)][:MAX_INPUTS]

    def shown(self, names: Sequence[str]) -> Updates:
        """The part that keeps the names."""
        return {self.names: json.dumps(list(names))}

    def of_model(self, model: ModelInfo) -> Updates:
        """Whether it is there for a model."""
        return {self.frame: gr.update(visible=model.references > 0)}


def create_reference_panel() -> ReferencePanel:
    """Lay it out. Call it where it shall stand."""
    with gr.Column(elem_id="at-references-frame", visible=False) as frame:
        page = html_part("at-references")
        names = gr.Textbox("[]", visible=False)
    return ReferencePanel(frame, page, names)
