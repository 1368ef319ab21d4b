"""The describe tab: drop, paste or choose a picture, read what it shows, use that as a prompt."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.core.errors import ServiceError
from app.core.schema import MAX_PROMPT_CHARS, Job, JobState
from app.ui.actions import HANDED_IN, Action, html_part
from app.ui.markup import Markup, notice
from app.ui.shell import Updates
from app.ui.strings import Words
from app.ui.studio import GENERATE, Studio
from app.ui.views.describe import choices, described, looked_at
from app.ui.views.header import error_text
from app.ui.visitors import visitor_of

LOOK_S = 0.7
TO_CHOOSE = 12  # of the newest pictures
LANGUAGES = [("English", "en"), ("中文", "zh")]


@dataclass(frozen=True)
class DescribeTab:
    """The components that other files wire up. `job` is the id of what the visitor waits for."""

    drop: gr.HTML
    saved: gr.HTML
    language: gr.Radio
    page: gr.HTML
    job: gr.State
    clock: gr.Timer

    @property
    def shown(self) -> list[Any]:
        """What a new picture changes."""
        return [self.page, self.job, self.clock]


def create_describe_tab(studio: Studio) -> DescribeTab:
    """Lay the tab out. Call it inside the tab."""
    texts = studio.texts
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            language = gr.Radio(LANGUAGES, value="en", label=texts("describe_language"), elem_classes="at-aspect")
            drop = html_part("at-describe-file")
            saved = html_part("at-describe-saved")
        with gr.Column(scale=6, min_width=320):
            page = html_part("at-describe")
    return DescribeTab(drop, saved, language, page, gr.State(""), gr.Timer(LOOK_S, active=False))


class DescribeEvents:
    """The events of the tab, for one studio."""

    def __init__(self, studio: Studio, tab: DescribeTab) -> None:
        self._studio = studio
        self._tab = tab

    def opened(self, request: gr.Request) -> Updates:
        """The tab was chosen: the newest pictures to choose from."""
        words, link = self._studio.words(request), self._studio.link
        try:
            newest, _ = link.ask(lambda: link.client.images(limit=TO_CHOOSE))
        except ServiceError:  # the header says so
            return {}
        return {self._tab.saved: choices(newest, words)}

    def handed_in(self, request: gr.Request, event: gr.EventData, values: Mapping[Any, Any]) -> Updates:
        """Ask what the picture shows that was just handed in."""
        words, link, action = self._studio.words(request), self._studio.link, Action.of(event)
        if action.act != HANDED_IN:
            return self._said(notice(words.find(f"upload_{action.act}") or words("upload_failed"), "bad"))
        data = self._studio.uploads.take(visitor_of(request.request), action.id)
        if data is None:
            return self._said(notice(words("upload_failed"), "bad"))
        return self._asked(lambda: {"sha256": link.client.upload(data).sha256}, values, words)

    def chosen(self, request: gr.Request, event: gr.EventData, values: Mapping[Any, Any]) -> Updates:
        """Ask what the saved picture shows that was just pressed."""
        action = Action.of(event)
        if action.act != "describe":
            return {}
        return self._asked(lambda: {"image_id": action.id}, values, self._studio.words(request))

    def _asked(self, picture: Callable[[], dict[str, str]], values: Mapping[Any, Any], words: Words) -> Updates:
        link, language = self._studio.link, "zh" if values.get(self._tab.language) == "zh" else "en"
        try:
            job = link.ask(lambda: link.client.describe(**picture(), language=language))
        except ServiceError as error:
            return self._said(notice(error_text(error, words), "bad"))
        return self._state(job, words)

    def tick(self, request: gr.Request, values: Mapping[Any, Any]) -> Updates:
        """How far the description is."""
        words, link, job_id = self._studio.words(request), self._studio.link, values.get(self._tab.job)
        if not isinstance(job_id, str) or not job_id:
            return {self._tab.clock: gr.Timer(active=False)}
        try:
            return self._state(link.ask(lambda: link.client.job(job_id)), words)
        except ServiceError as error:
            return self._said(notice(error_text(error, words), "bad"))

    def use(self, event: gr.EventData) -> Any:
        """The button that makes a prompt of the words: the chosen tab, and the prompt."""
        action = Action.of(event)
        if action.act != "use-text":
            return gr.skip(), gr.skip()
        return gr.Tabs(selected=GENERATE), str(action.data.get("text") or "")[:MAX_PROMPT_CHARS]

    def _state(self, job: Job, words: Words) -> Updates:
        if not job.state.finished:
            return {
                self._tab.page: looked_at(job, words) + notice(words("describe_working"), "quiet"),
                self._tab.job: job.id,
                self._tab.clock: gr.Timer(active=True),
            }
        if job.state is JobState.SUCCEEDED:
            return self._said(described(job, words))
        return self._said(notice(words("describe_failed"), "bad", job.error.message if job.error else None))

    def _said(self, shown: Markup) -> Updates:
        return {self._tab.page: shown, self._tab.job: "", self._tab.clock: gr.Timer(active=False)}
