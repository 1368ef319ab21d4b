"""What happens in the generate tab: each method is one event of the page. Short calls; no work is done here."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from app.core.errors import ServiceError, ServiceUnreachable
from app.core.schema import alone
from app.ui.actions import Action
from app.ui.looks import Look, look
from app.ui.memory import Memory
from app.ui.shell import Shell, Updates, Values
from app.ui.strings import Words
from app.ui.studio import Studio, find_model
from app.ui.tabs.form_events import FormEvents
from app.ui.tabs.generate_tab import EXAMPLES, GenerateTab
from app.ui.views.generate import examples
from app.ui.views.job import mark_of_job
from app.ui.views.library import history, mark_of
from app.ui.views.sketch import sketch_frame
from app.ui.views.toast import NO_TOAST, toast


class GenerateEvents:
    """The events, for one studio. Methods take what a visitor's page sent and give back what it should show."""

    def __init__(self, studio: Studio, shell: Shell, tab: GenerateTab) -> None:
        self._studio = studio
        self._link = studio.link
        self._shell = shell
        self._tab = tab
        self._fields = tab.fields
        self.form = FormEvents(studio, shell, tab)

    # Jobs

    def generate(self, request: gr.Request, values: Values) -> Updates:
        """Send the form to the service. The job belongs to the service from then on."""
        words, body = self._studio.words(request), None
        try:
            body = self.body(request, values, words)
            return self._say(toast(body, words, "bad")) if isinstance(body, str) else self.submit(values, body, words)
        except ServiceError as error:
            return self._say(self._studio.refusal(error, words, body if isinstance(body, dict) else None))

    def body(self, request: gr.Request, values: Values, words: Words) -> dict[str, Any] | str:
        """The form as the service takes it, or what is wrong with it, in words. Raises ServiceError."""
        form = self._fields.read(values)
        model = find_model(self._link.models(), form["model"])
        problems = form.problems(model, words)
        if model is None or problems:
            return " ".join(problems)
        start = self.form.start.fields_of(request, self._memory(values).start, model)
        started = self.form.references.beside(start, values, model, words)
        held = self.form.control.fields_of(values, model)
        return started if isinstance(started, str) else form.request(started | held)

    def tick(self, request: gr.Request, values: Values) -> Updates:
        """Look at the jobs again; the history only when the last job has ended, and then the clock stops."""
        words = self._studio.words(request)
        seen = look(self._link, self._memory(values), words)
        if seen.busy:
            return {self._tab.stage: seen.stage}
        return {self._tab.stage: seen.stage, self._tab.clock: gr.Timer(active=False)} | self._history(words)

    def act(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """A button in the stage."""
        words, memory, action = self._studio.words(request), self._memory(values), Action.of(event)
        try:
            if action.act == "start":
                return self.form.start.use_image(action.id, values, words)
            if action.act == "variations":
                return self.submit(values, self.form.start.variations_of(action.id, action.data.get("far")), words)
            if action.act == "upscale":
                return self.submit(values, self.form.start.upscaled(action.id), words)
            if action.act == "reuse":
                return self._settings_of_job(action.id, words)
            if action.act == "again":
                return self.submit_again(values, action.id, words)
            memory, message = self._changed(memory, action, words)
        except ServiceError as error:
            return self._say(self._studio.refusal(error, words))
        return self._look_now(values, look(self._link, memory, words, fresh=True)) | message

    def last_seed(self, request: gr.Request, values: Values) -> Updates:
        """The seed of the job looked at."""
        words, memory = self._studio.words(request), self._memory(values)
        try:
            if memory.focus is not None:
                return {self._fields["seed"]: self._link.job(memory.focus).request.seed}
        except ServiceError as error:
            return self._say(self._studio.refusal(error, words))
        return self._say(toast(words("no_seed_yet"), words, "quiet"))

    def restore(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """All settings of an older picture; or the picture itself, to start from."""
        words, action = self._studio.words(request), Action.of(event)
        if action.act == "start":
            return self.form.start.use_image(action.id, values, words)
        if action.act != "restore":
            return {}
        try:
            return self.settings_of_image(action.id, words)
        except ServiceError as error:
            return self._say(self._studio.refusal(error, words))

    def refresh_history(self, request: gr.Request) -> Updates:
        """The latest pictures."""
        return self._history(self._studio.words(request))

    # Used by the page and the other tabs

    def draw_awaited(self, values: Values, words: Words) -> Updates:
        """What waited for its model, if that is here by now."""
        due = self.form.awaited.due(values)
        if due is None:
            return {}
        try:
            job = self._link.ask(lambda: self._link.client.submit(due.body, idempotency_key=due.key, origin="ui"))
        except ServiceUnreachable:
            return {}  # which the header says
        except ServiceError as error:
            message = self._studio.refusal(error, words)
            return {self._shell.memory: self.form.awaited.forgotten(values)} | self._say(message)
        memory = replace(self._memory(values).with_job(job.id), awaited=None)
        return self._look_now(values, look(self._link, memory, words, known=[job])) | self._say(NO_TOAST)

    def opened(self, request: gr.Request, values: Values) -> Updates:
        """A page was opened: everything of this tab, as this browser left it or as the link asks for."""
        words, memory = self._studio.words(request), self._memory(values)
        asked = dict(request.query_params)
        wanted = asked.get("job") or memory.focus or ""
        seen = look(self._link, memory.with_focus(wanted), words, fresh=True)
        shown: Updates = {
            self._tab.stage: seen.stage,
            self._tab.sketch: sketch_frame(words),
            self._tab.examples: examples([words(key) for key in EXAMPLES], words),
        }
        # A quick person may have pressed Generate before this answer arrives: it must take nothing back.
        if seen.memory != memory:
            shown[self._shell.memory] = seen.memory.told(memory)
        if seen.busy:
            shown[self._tab.clock] = gr.Timer(active=True)
        if asked.get("job") and asked["job"] not in seen.memory.jobs:
            shown[self._shell.toast] = toast(words("error_unknown_job"), words, "bad")
        given = dict(memory.draft or {})
        if asked.get("prompt"):
            given["prompt"] = asked["prompt"]
        start = self.form.start.remembered(memory.start, words) | self.form.control.of_units((), words)
        start |= self.form.references.of_names((), words)
        shown |= self._history(words) | self.form.styles.hidden(words)
        return shown | self.form.first(given, words) | start

    def clock_if_busy(self, values: Values) -> Updates:
        """The clock, running, if a job of this browser is open: an answer that was late may have stopped it."""
        try:
            busy = any(job and not job.state.finished for _, job in self._link.jobs(self._memory(values).jobs))
        except ServiceError:
            busy = True
        return {self._tab.clock: gr.Timer(active=True)} if busy else {}

    def others_did(self, values: Values, words: Words) -> Updates:
        """History and stage, if pictures came or went since they were shown, through whatever door.

        Each is held against what the browser shows of it: answers overtake each other, so one may be newer.
        """
        memory = self._memory(values)
        try:
            newest = self._link.newest()
            past = {} if memory.shown.get("history") == mark_of(newest) else {self._tab.history: history(newest, words)}
            if not past and not self._is_old(memory):
                return {}
        except ServiceError:
            return {}
        if memory.focus is None:  # the job that a link names may just be on its way to the browser
            return past
        return past | {self._tab.stage: look(self._link, memory, words, fresh=True).stage}

    def settings_of_image(self, image_id: str, words: Words) -> Updates:
        """The fields that made a saved picture, from its job, or from its own recipe if the job is gone."""
        image = self._link.ask(lambda: self._link.client.image(image_id))
        try:
            return self._settings_of_job(image.job_id, words)
        except ServiceError:
            made = alone(dict(image.recipe.get("request") or {}), image.seed, image.index)
            return self.form.of_request(made, words)

    def submit_again(self, values: Values, job_id: str, words: Words) -> Updates:
        """The same request once more."""
        body = self._link.job(job_id).request.model_dump(exclude_none=True)
        return self.submit(values, body, words)

    def show_job(self, values: Values, job_id: str, words: Words) -> Updates:
        """Look at any job."""
        return self._look_now(values, look(self._link, self._memory(values).with_job(job_id), words, fresh=True))

    def _memory(self, values: Values) -> Memory:
        return Memory.read(values.get(self._shell.memory))

    def _is_old(self, memory: Memory) -> bool:
        """True if the stage shows something else than the job that it is about, which has ended."""
        if memory.focus is None or "stage" not in memory.shown:
            return False
        job = self._link.job(memory.focus, fresh=True)
        return job.state.finished and memory.shown["stage"] != mark_of_job(job)

    def _say(self, message: str) -> Updates:
        return {self._shell.toast: message}

    def _settings_of_job(self, job_id: str, words: Words) -> Updates:
        return self.form.of_request(self._link.job(job_id).request.model_dump(), words)

    def submit(self, values: Values, body: Mapping[str, Any], words: Words) -> Updates:
        """Send a request to the service, and look at its job. Raises ServiceError."""
        key = str(uuid.uuid4())
        job = self._link.ask(lambda: self._link.client.submit(body, idempotency_key=key, origin="ui"))
        seen = look(self._link, self._memory(values).with_job(job.id), words, known=[job])
        return self._look_now(values, seen) | self._say(NO_TOAST)

    def _changed(self, memory: Memory, action: Action, words: Words) -> tuple[Memory, Updates]:
        link = self._link
        if action.act == "cancel":
            link.ask(lambda: link.client.cancel(action.id))
        elif action.act == "focus":
            return memory.with_focus(action.id), {}
        elif action.act == "dismiss":
            return memory.without({action.id}), {}
        elif action.act == "favourite":
            link.set_favourite(action.id, action.data.get("value") == "1")
        elif action.act == "delete":
            link.ask(lambda: link.client.delete_image(action.id))
            link.forget_job(memory.focus or "")
            return memory, self._say(self._studio.deleted([action.id], words))
        return memory, {}

    def _look_now(self, values: Values, seen: Look) -> Updates:
        told, clock = seen.memory.told(self._memory(values)), gr.Timer(active=seen.busy)
        return {self._shell.memory: told, self._tab.stage: seen.stage, self._tab.clock: clock}

    def _history(self, words: Words) -> Updates:
        try:
            return {self._tab.history: history(self._link.newest(fresh=True), words)}
        except ServiceError:
            return {}
