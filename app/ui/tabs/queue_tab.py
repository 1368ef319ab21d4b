"""The queue tab: every job of every door, where it is, cancel it, run it again."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.core.errors import ServiceError
from app.core.schema import Job, JobState
from app.ui.actions import html_part
from app.ui.studio import QUIET, Studio
from app.ui.views.queue import queue_page

SHOWN = 50
EVERY_S = 1.0
ALL, OPEN = "all", "open"


@dataclass(frozen=True)
class QueueTab:
    """The components that other files wire up."""

    filter: gr.Radio
    page: gr.HTML
    clock: gr.Timer


def create_queue_tab(studio: Studio) -> QueueTab:
    """Lay the tab out. Call it inside the tab."""
    texts = studio.texts
    choices = [(texts("queue_all"), ALL), (texts("queue_open"), OPEN)]
    chosen = gr.Radio(choices, value=ALL, label=texts("queue_show"), elem_classes="at-aspect")
    page = html_part("at-queue")
    clock = gr.Timer(EVERY_S, active=False)
    events = QueueEvents(studio)
    for start in (chosen.input, clock.tick):
        start(events.show, chosen, page, **QUIET)
    return QueueTab(chosen, page, clock)


class QueueEvents:
    """The events of the tab, for one studio."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def show(self, request: gr.Request, chosen: str | None) -> Any:
        """The newest jobs; with `open` those that wait or run."""
        try:
            jobs = self._jobs(chosen == OPEN)
        except ServiceError:
            return gr.skip()
        status = self._studio.link.state().status
        paused = status is not None and status.queue.paused
        return queue_page(jobs, self._studio.words(request), only_open=chosen == OPEN, paused=paused)

    def _jobs(self, only_open: bool) -> list[Job]:
        link = self._studio.link
        if not only_open:
            return link.ask(lambda: link.client.jobs(limit=SHOWN))[0]
        running, _ = link.ask(lambda: link.client.jobs(state=JobState.RUNNING, limit=SHOWN))
        queued, _ = link.ask(lambda: link.client.jobs(state=JobState.QUEUED, limit=SHOWN))
        return [*running, *sorted(queued, key=lambda job: job.position or 0)]
