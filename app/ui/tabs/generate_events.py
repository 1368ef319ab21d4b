"""What happens in the generate tab: each method is one event of the page. Short calls; no work is done here."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from app.core.errors import ServiceError
from app.core.schema import RANDOM_SEED
from app.ui.actions import Action
from app.ui.form import Form, form_of
from app.ui.looks import Look, look
from app.ui.memory import Memory
from app.ui.sizes import OWN_SIZE, RATIOS, ratio_of, size_for
from app.ui.strings import Words
from app.ui.studio import Studio, default_model, find_model, settings_of
from app.ui.tabs.generate_tab import EXAMPLES, model_updates
from app.ui.tabs.models_tab import ModelsEvents
from app.ui.views.generate import examples
from app.ui.views.library import history
from app.ui.views.models import model_line
from app.ui.views.toast import toast

HISTORY_GROUPS = 8
FORM_FIELDS = len(Form().values())
UNCHANGED = (gr.skip(),) * FORM_FIELDS


class GenerateEvents:
    """The events, for one studio. Methods take what a visitor's page sent and give back what it should show."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._link = studio.link
        self._models = ModelsEvents(studio)

    # Jobs: memory, stage, toast, clock

    def generate(self, request: gr.Request, kept: object, *values: Any) -> tuple[Any, ...]:
        """Send the form to the service. The job belongs to the service from then on."""
        words, memory, form = self._studio.words(request), Memory.read(kept), Form(*values)
        try:
            problems = form.problems(find_model(self._link.models(), form.model), words)
            if problems:
                return gr.skip(), gr.skip(), toast(" ".join(problems), words, "bad"), gr.skip()
            return self._submit(memory, form.request(), words)
        except ServiceError as error:
            return gr.skip(), gr.skip(), self._studio.refusal(error, words), gr.skip()

    def tick(self, request: gr.Request, kept: object) -> tuple[Any, ...]:
        """Look at the jobs again: stage, clock, history (only when the last job has ended)."""
        words = self._studio.words(request)
        seen = look(self._link, Memory.read(kept), words)
        if seen.busy:
            return seen.stage, gr.skip(), gr.skip()
        return seen.stage, gr.Timer(active=False), self._history(words)

    def act(self, request: gr.Request, event: gr.EventData, kept: object) -> tuple[Any, ...]:
        """A button in the stage: memory, stage, toast, clock, then the form's fields."""
        words, memory, action = self._studio.words(request), Memory.read(kept), Action.of(event)
        try:
            if action.act == "reuse":
                found, text = self._settings_of_job(action.id, words)
                return gr.skip(), gr.skip(), toast(text, words), gr.skip(), *found
            if action.act == "again":
                body = self._link.job(action.id).request.model_dump(exclude_none=True)
                return *self._submit(memory, body, words), *UNCHANGED
            memory, message = self._changed(memory, action, words)
        except ServiceError as error:
            return gr.skip(), gr.skip(), self._studio.refusal(error, words), gr.skip(), *UNCHANGED
        return *_answer(look(self._link, memory, words, fresh=True), message), *UNCHANGED

    # Settings

    def choose_model(self, request: gr.Request, key: str | None, *values: Any) -> tuple[Any, ...]:
        """A model was chosen: its ranges and defaults. Prompts, count and seed stay. Then the model's line."""
        words, models = self._studio.words(request), self._studio.models()
        model = find_model(models, key)
        if model is None:
            return *UNCHANGED, gr.skip()
        old = Form(*values)
        form = replace(
            form_of({}, model),
            prompt=old.prompt,
            negative_prompt=old.negative_prompt or model.get("negative_prompt") or "",
            num_images=old.num_images,
            seed=old.seed,
        )
        return *filled(form, model, models), model_line(model, words)

    def choose_ratio(self, ratio: str, key: str | None) -> tuple[Any, Any]:
        """Width and height of a preset."""
        model = self._studio.model(key)
        if model is None or ratio not in RATIOS:
            return gr.skip(), gr.skip()
        return size_for(ratio, model)

    def type_size(self, width: float | None, height: float | None, key: str | None) -> Any:
        """The preset that a typed size is, or "own"."""
        model = self._studio.model(key)
        if model is None or not width or not height:
            return OWN_SIZE
        return ratio_of(int(width), int(height), model)

    def random_seed(self) -> int:
        """The seed that means: draw one."""
        return RANDOM_SEED

    def last_seed(self, request: gr.Request, kept: object) -> tuple[Any, Any]:
        """The seed of the job looked at: seed, toast."""
        words, memory = self._studio.words(request), Memory.read(kept)
        try:
            if memory.focus is not None:
                return self._link.job(memory.focus).request.seed, gr.skip()
        except ServiceError as error:
            return gr.skip(), self._studio.refusal(error, words)
        return gr.skip(), toast(words("no_seed_yet"), words, "quiet")

    def act_on_model(self, request: gr.Request, event: gr.EventData, key: str | None) -> tuple[Any, Any]:
        """The load or download button under the model list: model line, toast."""
        words, action = self._studio.words(request), Action.of(event)
        try:
            if key:
                self._models.act(action.act, key)
        except ServiceError as error:
            return gr.skip(), self._studio.refusal(error, words)
        return model_line(self._studio.model(key), words), gr.skip()

    def use_example(self, event: gr.EventData) -> Any:
        """An example becomes the prompt."""
        action = Action.of(event)
        return str(action.data.get("text", "")) if action.act == "example" else gr.skip()

    def restore(self, request: gr.Request, event: gr.EventData) -> tuple[Any, ...]:
        """All settings of an older picture: toast, then the form's fields."""
        words, action = self._studio.words(request), Action.of(event)
        if action.act != "restore":
            return gr.skip(), *UNCHANGED
        try:
            found, text = self.settings_of_image(action.id, words)
        except ServiceError as error:
            return self._studio.refusal(error, words), *UNCHANGED
        return toast(text, words), *found

    def refresh_history(self, request: gr.Request) -> Any:
        """The latest pictures."""
        return self._history(self._studio.words(request))

    # Used by the page and the other tabs

    def opened(self, request: gr.Request, kept: object) -> tuple[Any, ...]:
        """A page was opened: memory, stage, clock, history, examples, the form's fields, the model's line."""
        words, memory = self._studio.words(request), Memory.read(kept)
        asked = dict(request.query_params)
        seen = look(self._link, memory.with_job(asked.get("job", "")), words, fresh=True)
        # A quick person may have pressed Generate before this answer arrives: it must take nothing back.
        remembered = gr.skip() if seen.memory == memory else seen.memory.write()
        models = self._studio.models()
        request_given = dict(memory.request or {})
        if asked.get("prompt"):
            request_given["prompt"] = asked["prompt"]
        fields, model = _starting_fields(request_given, models)
        history_now = self._history(words)
        clock = gr.Timer(active=True) if seen.busy else gr.skip()
        offered = examples(EXAMPLES, words)
        return remembered, seen.stage, clock, history_now, offered, *fields, model_line(model, words)

    def clock_if_busy(self, kept: object) -> Any:
        """The clock, running, if a job of this browser is open: an answer that was late may have stopped it."""
        try:
            busy = any(job and not job.state.finished for _, job in self._link.jobs(Memory.read(kept).jobs))
        except ServiceError:
            busy = True
        return gr.Timer(active=True) if busy else gr.skip()

    def fill_if_empty(self, key: str | None, words: Words) -> tuple[Any, ...]:
        """The fields and the model's line; filled with defaults when the page was opened without a service."""
        models = self._studio.models()
        model = find_model(models, key)
        if model is None and not key and (model := default_model(models)) is not None:
            fields = list(filled(form_of({}, model), model, models))
            fields[1] = fields[2] = gr.skip()  # what was typed meanwhile stays
            return *fields, model_line(model, words)
        return *UNCHANGED, model_line(model, words) if model is not None else gr.skip()

    def settings_of_image(self, image_id: str, words: Words) -> tuple[tuple[Any, ...], str]:
        """The fields that made a saved picture, from its job, or from its own recipe if the job is gone."""
        image = self._link.ask(lambda: self._link.client.image(image_id))
        try:
            return self._settings_of_job(image.job_id, words)
        except ServiceError:
            made = dict(image.recipe.get("request") or {}) | {"seed": image.seed, "num_images": 1}
            return self.settings_of_request(made, words)

    def settings_of_request(self, made: Mapping[str, Any], words: Words) -> tuple[tuple[Any, ...], str]:
        """The fields for any request, with a sentence about it."""
        models = self._link.models()
        form, text = settings_of(made, models, words)
        model = find_model(models, form.model) if form else None
        if form is None or model is None:
            return UNCHANGED, text
        return filled(form, model, models), text

    def submit_again(self, kept: object, job_id: str, words: Words) -> tuple[Any, ...]:
        """The same request once more: memory, stage, toast, clock."""
        body = self._link.job(job_id).request.model_dump(exclude_none=True)
        return self._submit(Memory.read(kept), body, words)

    def show_job(self, kept: object, job_id: str, words: Words) -> tuple[Any, ...]:
        """Look at any job: memory, stage, toast, clock."""
        return _answer(look(self._link, Memory.read(kept).with_job(job_id), words, fresh=True), gr.skip())

    def _settings_of_job(self, job_id: str, words: Words) -> tuple[tuple[Any, ...], str]:
        return self.settings_of_request(self._link.job(job_id).request.model_dump(), words)

    def _submit(self, memory: Memory, body: Mapping[str, Any], words: Words) -> tuple[Any, ...]:
        key = str(uuid.uuid4())
        job = self._link.ask(lambda: self._link.client.submit(body, idempotency_key=key, origin="ui"))
        return _answer(look(self._link, memory.with_job(job.id, body), words, known=[job]), gr.skip())

    def _changed(self, memory: Memory, action: Action, words: Words) -> tuple[Memory, Any]:
        link = self._link
        if action.act == "cancel":
            link.ask(lambda: link.client.cancel(action.id))
        elif action.act == "focus":
            return memory.with_job(action.id), gr.skip()
        elif action.act == "favourite":
            link.set_favourite(action.id, action.data.get("value") == "1")
        elif action.act == "delete":
            link.ask(lambda: link.client.delete_image(action.id))
            link.forget_job(memory.focus or "")
            return memory, toast(words("picture_deleted"), words)
        return memory, gr.skip()

    def _history(self, words: Words) -> Any:
        try:
            groups, _ = self._link.ask(lambda: self._link.client.groups(limit=HISTORY_GROUPS))
        except ServiceError:
            return gr.skip()
        return history(groups, words)


def filled(form: Form, model: Mapping[str, Any], models: list[dict[str, Any]]) -> tuple[Any, ...]:
    """The form's values together with the ranges of its model, for the page."""
    pairs = zip(model_updates(model, list(models)), form.values(), strict=True)
    return tuple({**update, "value": value} for update, value in pairs)


def _starting_fields(given: Mapping[str, Any], models: list[dict[str, Any]]) -> tuple[tuple[Any, ...], Any]:
    """The fields of a fresh page: the last settings of this browser, else the default model's."""
    model = find_model(models, given.get("model")) or default_model(models)
    if model is None:
        prompt = gr.update(value=given["prompt"]) if "prompt" in given else gr.skip()
        return (gr.skip(), prompt, *UNCHANGED[2:]), None
    try:
        fields = list(filled(form_of(given, model), model, models))
        fields[1:3] = [gr.skip() if not field["value"] else field for field in fields[1:3]]  # it may be typed already
        return tuple(fields), model
    except (TypeError, ValueError):  # the browser's storage held something else
        return filled(form_of({}, model), model, models), model


def _answer(seen: Look, message: Any) -> tuple[Any, ...]:
    return seen.memory.write(), seen.stage, message, gr.Timer(active=seen.busy)
