"""The inspect tab: drop a picture file, see how it was made, use it."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from app.core.errors import ServiceError
from app.core.fitting import fit
from app.ui.actions import HANDED_IN, Action, html_part
from app.ui.markup import Markup, notice
from app.ui.strings import Words
from app.ui.studio import QUIET, Studio
from app.ui.views.header import error_text
from app.ui.views.inspect import inspection_page
from app.ui.visitors import visitor_of

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF")
MAX_PIXELS = 33_000_000
SHOWN_WIDTH = 512


@dataclass(frozen=True)
class InspectTab:
    """The components that other files wire up."""

    drop: gr.HTML
    page: gr.HTML


def create_inspect_tab(studio: Studio) -> InspectTab:
    """Lay the tab out. Call it inside the tab."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            # Not Gradio's own: that one keeps files under paths which the browser then names.
            drop = html_part("at-inspect-file")
        with gr.Column(scale=6, min_width=320):
            page = html_part("at-inspect")
    drop.click(InspectEvents(studio).inspect, None, page, **QUIET)
    return InspectTab(drop, page)


class InspectEvents:
    """The events of the tab, for one studio."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def inspect(self, request: gr.Request, event: gr.EventData) -> Any:
        """What the file says that was just handed in; it is kept nowhere."""
        words, link, action = self._studio.words(request), self._studio.link, Action.of(event)
        if action.act != HANDED_IN:
            return notice(words.find(f"upload_{action.act}") or words("upload_failed"), "bad")
        data = self._studio.uploads.take(visitor_of(request.request), action.id)
        if data is None:
            return notice(words("upload_failed"), "bad")
        try:
            found = link.ask(lambda: link.client.inspect(data))
        except ServiceError as error:
            return notice(error_text(error, words), "bad")
        suited = fit(found.request, found.unusable, found.model, self._studio.models()) if found.request else None
        return picture_of(data, words) + inspection_page(found, words, suited)


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
