"""The library tab: everything that was ever made, found by its prompt."""

from dataclasses import dataclass
from functools import partial

import gradio as gr

from app.core.errors import ServiceError, ServiceUnreachable
from app.ui.actions import Action, html_part, texts_of
from app.ui.markup import Markup
from app.ui.memory import Memory
from app.ui.search import OLDEST, Search, parse
from app.ui.shell import Shell, Updates, Values
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.views.chain import chain_page
from app.ui.views.library import library_page, mark_of, mark_of_pictures
from app.ui.views.toast import toast
from app.ui.views.trash import trash_page
from app.ui.views.wall import wall_page

GROUPS_ON_A_PAGE, PICTURES_ON_A_PAGE = 12, 60
WALL, PROMPTS, TRASH = "wall", "by-prompt", "thrown-away"  # none a key of a text: Gradio would translate it
MOST_AT_ONCE = 200
MAX_SEARCH_CHARS = 1000
EVERY_S = 2.0


@dataclass(frozen=True)
class LibraryTab:
    """The components that other files wire up."""

    search: gr.Textbox
    favourites: gr.Checkbox
    oldest: gr.Checkbox
    view: gr.Radio
    refresh: gr.Button
    page: gr.HTML
    chain: gr.HTML
    clock: gr.Timer


def create_library_tab(studio: Studio) -> LibraryTab:
    """Lay the tab out. Call it inside the tab."""
    texts = studio.texts
    with gr.Row(elem_classes="at-tight at-search-row"):
        search = gr.Textbox(
            label=texts("library_search"), placeholder=texts("library_search_placeholder"), scale=5,
            max_length=MAX_SEARCH_CHARS, elem_id="at-search", type="text", info=texts("library_hint"),
        )  # fmt: skip
        choices = [
            (texts("library_pictures"), WALL),
            (texts("library_prompts"), PROMPTS),
            (texts("library_trash"), TRASH),
        ]
        view = gr.Radio(
            choices, value=WALL, label=texts("library_view"), elem_classes="at-aspect", scale=0, min_width=320
        )
        with gr.Column(scale=0, min_width=190, elem_classes="at-line"):
            favourites = gr.Checkbox(label=texts("library_only_favourites"))
            oldest = gr.Checkbox(label=texts("library_oldest"))
        refresh = gr.Button(texts("refresh"), size="md", scale=0, min_width=120, elem_classes="at-beside")
    chain = html_part("at-chain")
    page = html_part("at-library")
    return LibraryTab(search, favourites, oldest, view, refresh, page, chain, gr.Timer(EVERY_S, active=False))


class LibraryEvents:
    """The events of the tab, for one studio."""

    def __init__(self, studio: Studio, shell: Shell, tab: LibraryTab) -> None:
        self._studio = studio
        self._shell = shell
        self._tab = tab

    def first_page(self, request: gr.Request, values: Values) -> Updates:
        """The newest pictures that fit."""
        return self._page(self._studio.words(request), values, [])

    def returned(self, request: gr.Request, values: Values) -> Updates:
        """The page where it was left."""
        place = Memory.read(values.get(self._shell.memory)).place
        return self._page(self._studio.words(request), values, list(place))

    def again(self, request: gr.Request, values: Values) -> Updates:
        """The page that is shown, if its pictures are others by now: other doors make and delete some too."""
        memory = Memory.read(values.get(self._shell.memory))
        return self._page(self._studio.words(request), values, list(memory.place), unless=memory.shown.get("library"))

    def act(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """A button of a picture or of the pager."""
        words, action, link = self._studio.words(request), Action.of(event), self._studio.link
        said: Updates = {}
        try:
            if action.act in ("chain", "chain-close"):
                return {self._tab.chain: self._chain(action, words)}
            if action.act == "favourite":
                link.set_favourite(action.id, action.data.get("value") == "1")
            elif action.act == "delete":
                link.ask(lambda: link.client.delete_image(action.id))
                said = {self._shell.toast: self._studio.deleted([action.id], words)}
            elif action.act in ("favourite-many", "delete-many"):
                said = self._act_on_many(action, words)
            elif action.act in ("untrash", "remove", "empty-trash"):
                said = self._act_in_trash(action, words)
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}
        return self._page(words, values, action.stack("stack" if action.act == "page" else "here")) | said

    def _page(self, words: Words, values: Values, stack: list[str], *, unless: str | None = None) -> Updates:
        """One page: `stack` are the cursors of the pages before and of this one. Nothing if its mark is `unless`."""
        wanted = parse(values.get(self._tab.search) or "")
        filters = wanted.filters | ({"favourite": True} if values.get(self._tab.favourites) else {})
        if values.get(self._tab.oldest) and not wanted.by_look:  # those have an order of their own
            filters |= OLDEST
        search = Search(wanted.words, filters)
        try:
            if search.by_look:
                mark, shown = self._alike(search, words)
            elif values.get(self._tab.view) == TRASH:
                mark, shown = self._trash(search, words)
            elif values.get(self._tab.view) == PROMPTS:
                mark, shown = self._groups(search, stack, words)
            else:
                mark, shown = self._pictures(search, stack, words)
        except ServiceError as error:
            away = isinstance(error, ServiceUnreachable)  # which the header says; what was shown stays
            return {} if away else {self._shell.toast: self._studio.refusal(error, words)}
        return {} if unless == mark else {self._tab.page: shown}

    def _pictures(self, search: Search, stack: list[str], words: Words) -> tuple[str, Markup]:
        link, cursor = self._studio.link, stack[-1] if stack else None
        q = search.words or None
        found, following = link.ask(
            lambda: link.client.images(q=q, cursor=cursor, limit=PICTURES_ON_A_PAGE, **search.filters)
        )
        count = None if not found else link.ask(lambda: link.client.image_count(q=q, **search.filters))
        searched = not search.is_empty
        shown = wall_page(found, before=stack, following=following, count=count, searched=searched, words=words)
        return mark_of_pictures(found), shown

    def _alike(self, search: Search, words: Words) -> tuple[str, Markup]:
        link = self._studio.link
        found, _ = link.ask(lambda: link.client.images(limit=PICTURES_ON_A_PAGE, **search.filters))
        shown = wall_page(found, before=[], following=None, count=len(found), searched=True, words=words)
        return mark_of_pictures(found), shown

    def _groups(self, search: Search, stack: list[str], words: Words) -> tuple[str, Markup]:
        link, cursor = self._studio.link, stack[-1] if stack else None
        known = {name: value for name, value in search.filters.items() if name in ("favourite", "model")}
        groups, following = link.ask(
            lambda: link.client.groups(q=search.words or None, cursor=cursor, limit=GROUPS_ON_A_PAGE, **known)
        )
        searched = not search.is_empty
        shown = library_page(groups, before=stack, following=following, searched=searched, words=words)
        return mark_of(groups), shown

    def _trash(self, search: Search, words: Words) -> tuple[str, Markup]:
        link, wanted = self._studio.link, search.words.casefold()
        found, days = link.ask(link.client.trash)
        fits = [image for image in found if wanted in image.prompt.casefold()]
        return trash_page(fits, days, searched=not search.is_empty, words=words)

    def _chain(self, action: Action, words: Words) -> Markup:
        """Where a picture stands among others. Raises ServiceError."""
        if action.act == "chain-close":
            return Markup("")
        link = self._studio.link
        image = link.ask(lambda: link.client.image(action.id))
        return chain_page(image.id, image.prompt, link.ask(lambda: link.client.chain(image.id)), words)

    def _act_in_trash(self, action: Action, words: Words) -> Updates:
        """Have one deleted picture back, or remove one or all for good. Raises ServiceError."""
        link, number, said = self._studio.link, 1, "pictures_removed"
        if action.act == "untrash":
            link.ask(lambda: link.client.restore_image(action.id))
            said = "pictures_restored"
        elif action.act == "remove":
            link.ask(lambda: link.client.delete_image(action.id, forever=True))
        else:
            number = link.ask(link.client.empty_trash)
        return {self._shell.toast: toast(words.count(said, number), words)}

    def _act_on_many(self, action: Action, words: Words) -> Updates:
        """Mark or delete all ticked pictures. Raises ServiceError; those before it are done then."""
        link, ids = self._studio.link, texts_of(action.data.get("ids"))[:MOST_AT_ONCE]
        for id in ids:
            if action.act == "favourite-many":
                link.set_favourite(id, True)
            else:
                link.ask(partial(link.client.delete_image, id))
        if action.act == "favourite-many":
            return {}
        return {self._shell.toast: self._studio.deleted(ids, words)}
