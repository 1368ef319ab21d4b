"""What happens with the styles of the generate tab."""

from typing import Any

import gradio as gr

from app.core.errors import ServiceError
from app.core.styles import Style
from app.ui.shell import Updates, Values
from app.ui.studio import Studio
from app.ui.tabs.generate_tab import GenerateTab
from app.ui.views.styles import styles_look


class StyleEvents:
    """The events, for one studio."""

    def __init__(self, studio: Studio, tab: GenerateTab) -> None:
        self._studio = studio
        self._tab = tab

    def look(self, request: gr.Request, values: Values) -> Updates:
        """Others are chosen: what each of them adds."""
        chosen = [str(name) for name in values.get(self._tab.fields["styles"]) or ()]
        return {self._tab.styles_look: styles_look(chosen, self._styles(), self._studio.words(request))}

    def choices(self) -> dict[str, Any]:
        """What can be chosen, for the field's update."""
        return {"choices": [style.name for style in self._styles()]}

    def _styles(self) -> list[Style]:
        try:
            return self._studio.link.styles()
        except ServiceError:
            return []
