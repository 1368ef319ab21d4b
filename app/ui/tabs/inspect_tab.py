"""The inspect tab: drop a picture file, see how it was made, use it."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from app.core.errors import ServiceError
from app.ui.actions import html_part
from app.ui.markup import Markup, notice
from app.ui.strings import Words
from app.ui.studio import QUIET, Studio
from app.ui.views.header import error_text
from app.ui.views.inspect import inspection_page

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 33_000_000
SHOWN_WIDTH = 512


@dataclass(frozen=True)
class InspectTab:
    """The components that other files wire up."""

    file: gr.File
    page: gr.HTML


def create_inspect_tab(studio: Studio) -> InspectTab:
    """Lay the tab out. Call it inside the tab."""
    texts = studio.texts
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            file = gr.File(
                label=texts("inspect_drop"), file_types=[".png", ".jpg", ".jpeg", ".webp"], type="filepath",
                elem_id="at-inspect-file", height=200,
            )  # fmt: skip
        with gr.Column(scale=6, min_width=320):
            page = html_part("at-inspect")
    file.change(InspectEvents(studio).inspect, file, page, **QUIET)
    return InspectTab(file, page)


class InspectEvents:
    """The events of the tab, for one studio."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def inspect(self, request: gr.Request, path: str | None) -> Any:
        """What the file says. The uploaded copy is deleted as soon as it is read."""
        words, link = self._studio.words(request), self._studio.link
        if path is None:
            return ""
        data = Path(path).read_bytes()
        Path(path).unlink(missing_ok=True)
        try:
            found = link.ask(lambda: link.client.inspect(data))
        except ServiceError as error:
            return notice(error_text(error, words), "bad")
        return picture_of(data, words) + inspection_page(found, words)


def picture_of(data: bytes, words: Words) -> Markup:
    """A small copy of our own making: the file's own bytes are never shown, whatever else they may be."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return Markup("")
            small = opened.convert("RGB")
            small.thumbnail((SHOWN_WIDTH, SHOWN_WIDTH))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return Markup("")
    written = io.BytesIO()
    small.save(written, "WEBP", quality=85)
    return Markup('<div class="at-canvas at-inspected"><img src="data:image/webp;base64,{}" alt="{}"></div>').format(
        base64.b64encode(written.getvalue()).decode("ascii"), words("inspect_picture")
    )
