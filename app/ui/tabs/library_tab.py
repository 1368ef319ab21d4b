"""The library tab: everything that was ever made, found by its prompt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.core.errors import ServiceError
from app.ui.actions import Action, html_part
from app.ui.shell import Shell, Updates
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.views.library import library_page
from app.ui.views.toast import toast

GROUPS_ON_A_PAGE = 12
MAX_SEARCH_CHARS = 1000


@dataclass(frozen=True)
class LibraryTab:
    """The components that other files wire up."""

    search: gr.Textbox
    favourites: gr.Checkbox
    refresh: gr.Button
    page: gr.HTML


def create_library_tab(studio: Studio) -> LibraryTab:
    """Lay the tab out. Call it inside the tab."""
    texts = studio.texts
    with gr.Row(elem_classes="at-tight at-search-row"):
        search = gr.Textbox(
            label=texts("library_search"), placeholder=texts("library_search_placeholder"), scale=5,
            max_length=MAX_SEARCH_CHARS, elem_id="at-search", type="text",
        )  # fmt: skip
        with gr.Column(scale=0, min_width=190, elem_classes="at-line"):
            favourites = gr.Checkbox(label=texts("library_only_favourites"))
        refresh = gr.Button(texts("refresh"), size="md", scale=0, min_width=120, elem_classes="at-beside")
    page = html_part("at-library")
    return LibraryTab(search, favourites, refresh, page)


class LibraryEvents:
    """The events of the tab, for one studio."""

    def __init__(self, studio: Studio, shell: Shell, tab: LibraryTab) -> None:
        self._studio = studio
        self._shell = shell
        self._tab = tab

    def first_page(self, request: gr.Request, values: Mapping[Any, Any]) -> Updates:
        """The newest pictures that fit."""
        return self._page(self._studio.words(request), values, [])

    def act(self, request: gr.Request, event: gr.EventData, values: Mapping[Any, Any]) -> Updates:
        """A button of a picture or of the pager."""
        words, action, link = self._studio.words(request), Action.of(event), self._studio.link
        said: Updates = {}
        try:
            if action.act == "favourite":
                link.set_favourite(action.id, action.data.get("value") == "1")
            elif action.act == "delete":
                link.ask(lambda: link.client.delete_image(action.id))
                said = {self._shell.toast: toast(words("picture_deleted"), words)}
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}
        return self._page(words, values, action.stack("stack" if action.act == "page" else "here")) | said

    def _page(self, words: Words, values: Mapping[Any, Any], stack: list[str]) -> Updates:
        """One page: `stack` are the cursors of the pages before and of this one."""
        link = self._studio.link
        wanted = (values.get(self._tab.search) or "").strip() or None
        only_favourites = bool(values.get(self._tab.favourites))
        try:
            groups, following = link.ask(
                lambda: link.client.groups(
                    q=wanted,
                    favourite=True if only_favourites else None,
                    cursor=stack[-1] if stack else None,
                    limit=GROUPS_ON_A_PAGE,
                )
            )
        except ServiceError:
            return {}  # the header says that the service is away; what was shown stays
        searched = wanted is not None or only_favourites
        shown = library_page(groups, before=stack, following=following, searched=searched, words=words)
        return {self._tab.page: shown}
