"""What happens with the styles of the generate tab."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from app.core.errors import ServiceError
from app.core.styles import Style
from app.ui.actions import Action
from app.ui.shell import Updates, Values
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.style_pictures import StylePictures
from app.ui.tabs.generate_tab import GenerateTab
from app.ui.views.styles import OPENED, closed_cards, style_cards, styles_look


class StyleEvents:
    """The events, for one studio."""

    def __init__(self, studio: Studio, tab: GenerateTab) -> None:
        self._studio = studio
        self._tab = tab
        self._pictures = StylePictures(studio.link)

    def look(self, request: gr.Request, values: Values) -> Updates:
        """Others are chosen: what each of them adds, and which cards are pressed."""
        words, chosen = self._studio.words(request), self._chosen(values)
        shown: Updates = {self._tab.styles_look: styles_look(chosen, self._styles(), words)}
        if OPENED in str(values.get(self._tab.style_cards)):
            shown |= self._cards(chosen, words)
        return shown

    def act(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """The cards are shown or put away, or one was pressed: its style is chosen, or let go."""
        words, action, chosen = self._studio.words(request), Action.of(event), self._chosen(values)
        if action.act == "styles-hide":
            return self.hidden(words)
        if action.act == "styles-show":
            return self._cards(chosen, words)
        if action.act != "style" or action.id not in {style.name for style in self._styles()}:
            return {}
        others = [name for name in chosen if name != action.id]
        now = others if len(others) < len(chosen) else [*chosen, action.id]
        return {self._tab.fields["styles"]: now} | self._cards(now, words)

    def hidden(self, words: Words) -> Updates:
        """The button that shows the cards."""
        return {self._tab.style_cards: closed_cards(words)}

    def choices(self) -> dict[str, Any]:
        """What can be chosen, for the field's update."""
        return {"choices": [style.name for style in self._styles()]}

    def _chosen(self, values: Values) -> list[str]:
        return [str(name) for name in values.get(self._tab.fields["styles"]) or ()]

    def _cards(self, chosen: Sequence[str], words: Words) -> Updates:
        styles = self._styles()
        return {self._tab.style_cards: style_cards(chosen, styles, self._pictures.of(styles), words)}

    def _styles(self) -> list[Style]:
        try:
            return self._studio.link.styles()
        except ServiceError:
            return []
