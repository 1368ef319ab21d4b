"""The queue tab: every job of every door, where it is, in what order, cancel it, run it again."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from app.core.errors import ServiceError, ServiceUnreachable
from app.core.schema import Job, JobState
from app.ui.actions import Action, html_part, texts_of
from app.ui.shell import Updates, Values
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.views.queue import QueueView, queue_page

ON_A_PAGE = 30
EVERY_S = 1.0
MAX_SEARCH_CHARS = 1000
ALL, OPEN, FAILED = "all", "open", "not-done"  # none a key of a text: Gradio would translate it
FIRST = "[]"


@dataclass(frozen=True)
class QueueTab:
    """The components that other files wire up. `place` is where in the list the page is: cursors, as JSON."""

    filter: gr.Radio
    search: gr.Textbox
    place: gr.State
    page: gr.HTML
    clock: gr.Timer


def create_queue_tab(studio: Studio) -> QueueTab:
    """Lay the tab out. Call it inside the tab."""
    texts = studio.texts
    with gr.Row(elem_classes="at-tight at-search-row"):
        search = gr.Textbox(
            label=texts("queue_search"), scale=4, max_length=MAX_SEARCH_CHARS, elem_id="at-queue-search", type="text"
        )
        choices = [(texts("queue_all"), ALL), (texts("queue_open"), OPEN), (texts("queue_failed"), FAILED)]
        chosen = gr.Radio(
            choices, value=ALL, label=texts("queue_show"), elem_classes="at-aspect", scale=3, min_width=370
        )
    return QueueTab(chosen, search, gr.State(FIRST), html_part("at-queue"), gr.Timer(EVERY_S, active=False))


class QueueEvents:
    """The events of the tab, for one studio."""

    def __init__(self, studio: Studio, tab: QueueTab) -> None:
        self._studio = studio
        self._tab = tab

    def first_page(self, request: gr.Request, values: Values) -> Updates:
        """The beginning of what is asked for."""
        return self.show(request, {**values, self._tab.place: FIRST}) | {self._tab.place: FIRST}

    def show(self, request: gr.Request, values: Values) -> Updates:
        """The page of the list that is looked at, as it is now."""
        words, place = self._studio.words(request), texts_of(values.get(self._tab.place))
        chosen, search = values.get(self._tab.filter), (values.get(self._tab.search) or "").strip()
        try:
            jobs, following = self._jobs(chosen, search, place[-1] if place else None)
        except ServiceUnreachable:
            return {}  # which the header says; what was shown stays
        except ServiceError as error:
            return {self._tab.page: self._studio.refusal(error, words)}
        status = self._studio.link.state().status
        view = QueueView(
            jobs, place, following, nothing=self._nothing(chosen, search, words),
            paused=status is not None and status.queue.paused,
            some_ended=chosen != OPEN and (following is not None or any(job.state.finished for job in jobs)),
            some_open=status is None or status.queue.queued + status.queue.running > 0,
        )  # fmt: skip
        return {self._tab.page: queue_page(view, words)}

    def act(self, action: Action) -> Updates:
        """A button that concerns the line alone. Raises ServiceError."""
        client = self._studio.link.client
        calls: dict[str, Callable[[], object]] = {
            "cancel": lambda: client.cancel(action.id),
            "move": lambda: client.move(action.id, str(action.data.get("to"))),
            "priority": lambda: client.set_priority(action.id, int(str(action.data.get("to")))),
            "cancel-all": client.cancel_all,
            "clear": client.clear_jobs,
        }
        if action.act in calls:
            self._studio.link.ask(calls[action.act])
        if action.act == "clear":
            return {self._tab.place: FIRST}
        return {self._tab.place: json.dumps(action.stack("stack"))} if action.act == "turn" else {}

    def _jobs(self, chosen: str | None, search: str, cursor: str | None) -> tuple[list[Job], str | None]:
        link, q = self._studio.link, search or None
        state = JobState.FAILED if chosen == FAILED else None
        return link.ask(lambda: link.client.jobs(state=state, cursor=cursor, limit=ON_A_PAGE, q=q, line=chosen == OPEN))

    def _nothing(self, chosen: str | None, search: str, words: Words) -> str:
        if search:
            return words("library_nothing_found")
        return words({OPEN: "queue_nothing_waits", FAILED: "queue_nothing_failed"}.get(chosen or "", "queue_empty"))
