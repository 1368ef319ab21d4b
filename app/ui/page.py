"""The page: header, tabs, and what happens between the tabs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.core.errors import ServiceError
from app.ui.actions import Action, html_part
from app.ui.gradio_blocks import FilelessBlocks
from app.ui.strings import ENGLISH
from app.ui.studio import GENERATE, INSPECT, LIBRARY, MODELS, QUEUE, QUIET, TABS, Studio
from app.ui.tabs.generate_events import UNCHANGED, GenerateEvents
from app.ui.tabs.generate_tab import GenerateTab, create_generate_tab
from app.ui.tabs.inspect_tab import InspectTab, create_inspect_tab
from app.ui.tabs.library_tab import LibraryEvents, LibraryTab, create_library_tab
from app.ui.tabs.models_tab import ModelsEvents, ModelsTab, create_models_tab
from app.ui.tabs.queue_tab import QueueEvents, QueueTab, create_queue_tab
from app.ui.views.header import header
from app.ui.views.inspect import drop_zone
from app.ui.views.toast import RESTART, toast

PULSE_S = 1.5  # how often a page asks how the service is
# Both fixed: with Gradio's random ones a restart of the page would make what browsers remember unreadable.
MEMORY_KEY = "atelier"
MEMORY_MASK = "atelier-memory-1"


@dataclass(frozen=True)
class Page:
    """All parts of the page."""

    header: gr.HTML
    toast: gr.HTML
    memory: gr.BrowserState
    pulse: gr.Timer
    tabs: gr.Tabs
    tab: dict[str, gr.Tab]
    generate: GenerateTab
    library: LibraryTab
    queue: QueueTab
    inspect: InspectTab
    models: ModelsTab


def create_page(studio: Studio) -> gr.Blocks:
    """The whole page as Gradio blocks, with every event wired."""
    texts = studio.texts
    title = studio.strings.words(ENGLISH)("app_name")  # Gradio does not translate this one
    with FilelessBlocks(title=title, analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        memory = gr.BrowserState(storage_key=MEMORY_KEY, secret=MEMORY_MASK)
        head = html_part("at-header")
        message = gr.HTML(js_on_load=RESTART, apply_default_css=False, elem_id="at-toast")
        tab: dict[str, gr.Tab] = {}
        with gr.Tabs(elem_classes="at-outer"), gr.Tab(texts("tab_multimodal")):  # noqa: SIM117
            with gr.Tabs(selected=GENERATE, overflow_behavior="wrap", elem_id="at-tabs") as tabs:
                with gr.Tab(texts("tab_generate"), id=GENERATE) as tab[GENERATE]:
                    generate = create_generate_tab(studio, list(studio.models()))
                with gr.Tab(texts("tab_library"), id=LIBRARY) as tab[LIBRARY]:
                    library = create_library_tab(studio)
                with gr.Tab(texts("tab_queue"), id=QUEUE) as tab[QUEUE]:
                    queue = create_queue_tab(studio)
                with gr.Tab(texts("tab_inspect"), id=INSPECT) as tab[INSPECT]:
                    inspect = create_inspect_tab(studio)
                with gr.Tab(texts("tab_models"), id=MODELS) as tab[MODELS]:
                    models = create_models_tab(studio)
        pulse = gr.Timer(PULSE_S)
        page = Page(head, message, memory, pulse, tabs, tab, generate, library, queue, inspect, models)
        events = GenerateEvents(studio)
        _wire_generate(page, events)
        _wire_tabs(page, PageEvents(studio, events))
        _wire_life(blocks, page, PageEvents(studio, events))
    return blocks


class PageEvents:
    """What concerns more than one tab, for one studio."""

    def __init__(self, studio: Studio, generate: GenerateEvents) -> None:
        self._studio = studio
        self._generate = generate
        self._library = LibraryEvents(studio)
        self._queue = QueueEvents(studio)
        self._models = ModelsEvents(studio)

    def opened(self, request: gr.Request, kept: object) -> tuple[Any, ...]:
        """A page was opened or reloaded: header, chosen tab, drop zone, then everything of the generate tab."""
        asked = request.query_params.get("tab", GENERATE)
        tabs = gr.Tabs(selected=asked if asked in TABS else GENERATE)
        zone = drop_zone(self._studio.words(request))
        return self._header(request), tabs, zone, *self._generate.opened(request, kept)

    def pulse(self, request: gr.Request, model: str | None, kept: object) -> tuple[Any, ...]:
        """How the service is: header, the jobs' clock, the form's fields (if they were empty), the model's line."""
        fields = self._generate.fill_if_empty(model, self._studio.words(request))
        return self._header(request), self._generate.clock_if_busy(kept), *fields

    def library_opened(self, request: gr.Request, search: str | None, only_favourites: bool) -> tuple[Any, ...]:
        """The library tab was chosen, or something else is searched: its page, and no other tab's clock runs."""
        return self._library.first_page(request, search, only_favourites), *_clocks()

    def queue_opened(self, request: gr.Request, chosen: str) -> tuple[Any, ...]:
        """The queue tab was chosen: its list, and its clock runs."""
        return self._queue.show(request, chosen), *_clocks(QUEUE)

    def models_opened(self, request: gr.Request) -> tuple[Any, ...]:
        """The models tab was chosen: its cards, and its clock runs."""
        return self._models.show(request), *_clocks(MODELS)

    def act_in_library(
        self, request: gr.Request, event: gr.EventData, search: str | None, only_favourites: bool
    ) -> tuple[Any, ...]:
        """A button in the library: page, toast, tabs, the form's fields."""
        action = Action.of(event)
        if action.act != "restore":
            return *self._library.act(request, event, search, only_favourites), gr.skip(), *UNCHANGED
        words = self._studio.words(request)
        return gr.skip(), *self._use(request, lambda: self._generate.settings_of_image(action.id, words))

    def act_in_inspect(self, request: gr.Request, event: gr.EventData) -> tuple[Any, ...]:
        """The button that uses what was found: toast, tabs, the form's fields."""
        found = Action.of(event).mapping("request")
        if found is None:
            return gr.skip(), gr.skip(), *UNCHANGED
        return self._use(request, lambda: self._generate.settings_of_request(found, self._studio.words(request)))

    def act_in_queue(self, request: gr.Request, event: gr.EventData, kept: object, chosen: str) -> tuple[Any, ...]:
        """A button in the queue: list, tabs, memory, stage, toast, clock."""
        words, action, link = self._studio.words(request), Action.of(event), self._studio.link
        nothing = (gr.skip(),) * 4
        try:
            if action.act == "show":
                shown = self._generate.show_job(kept, action.id, words)
                return gr.skip(), gr.Tabs(selected=GENERATE), *shown
            if action.act == "again":
                nothing = self._generate.submit_again(kept, action.id, words)
            elif action.act == "cancel":
                link.ask(lambda: link.client.cancel(action.id))
        except ServiceError as error:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip(), self._studio.refusal(error, words), gr.skip()
        return self._queue.show(request, chosen), gr.skip(), *nothing

    def act_in_models(self, request: gr.Request, event: gr.EventData, *values: Any) -> tuple[Any, ...]:
        """A button of a model: cards, toast, tabs, the form's fields, the model's line."""
        words, action = self._studio.words(request), Action.of(event)
        if action.act == "use":
            fields = self._generate.choose_model(request, action.id, *values)
            return gr.skip(), gr.skip(), gr.Tabs(selected=GENERATE), *fields
        message = gr.skip()
        try:
            self._models.act(action.act, action.id)
        except ServiceError as error:
            message = self._studio.refusal(error, words)
        return self._models.show(request), message, gr.skip(), *UNCHANGED, gr.skip()

    def download_any(self, request: gr.Request, hub_id: str | None) -> tuple[Any, Any, Any]:
        """Any model of the hub: cards, toast, the field."""
        return self._models.fetch(request, hub_id)

    def _use(self, request: gr.Request, find: Callable[[], tuple[tuple[Any, ...], str]]) -> tuple[Any, ...]:
        words = self._studio.words(request)
        try:
            fields, text = find()
        except ServiceError as error:
            return self._studio.refusal(error, words), gr.skip(), *UNCHANGED
        except (TypeError, ValueError):  # a file may say anything
            return toast(words("settings_unusable"), words, "bad"), gr.skip(), *UNCHANGED
        return toast(text, words), gr.Tabs(selected=GENERATE), *fields

    def _header(self, request: gr.Request) -> Any:
        link = self._studio.link
        return header(link.state(), link.client.url, self._studio.words(request))


def _clocks(running: str | None = None) -> tuple[gr.Timer, gr.Timer]:
    """The clocks of the queue and the models tab: only the chosen tab's runs."""
    return gr.Timer(active=running == QUEUE), gr.Timer(active=running == MODELS)


def _wire_generate(page: Page, events: GenerateEvents) -> None:
    tab, form = page.generate, list(page.generate.form)
    model, prompt, _, aspect, width, height, *_ = form
    seed = form[9]
    jobs = [page.memory, tab.stage, page.toast, tab.clock]
    tab.generate.click(events.generate, [page.memory, *form], jobs, trigger_mode="multiple", **QUIET)
    tab.clock.tick(events.tick, page.memory, [tab.stage, tab.clock, tab.history], **QUIET)
    tab.stage.click(events.act, page.memory, [*jobs, *form], **QUIET)
    model.input(events.choose_model, form_inputs(form), [*form, tab.model_line], **QUIET)
    aspect.input(events.choose_ratio, [aspect, model], [width, height], **QUIET)
    for side in (width, height):
        side.input(events.type_size, [width, height, model], aspect, **QUIET)
    tab.dice.click(events.random_seed, None, seed, **QUIET)
    tab.reuse_seed.click(events.last_seed, page.memory, [seed, page.toast], **QUIET)
    tab.model_line.click(events.act_on_model, model, [tab.model_line, page.toast], **QUIET)
    tab.examples.click(events.use_example, None, prompt, **QUIET)
    tab.history.click(events.restore, None, [page.toast, *form], **QUIET)
    tab.refresh_history.click(events.refresh_history, None, tab.history, **QUIET)


def form_inputs(form: list[Any]) -> list[Any]:
    """The chosen model, then all fields."""
    return [form[0], *form]


def _wire_tabs(page: Page, events: PageEvents) -> None:
    form, line = list(page.generate.form), page.generate.model_line
    search = [page.library.search, page.library.favourites]
    clocks = [page.queue.clock, page.models.clock]
    for name in (GENERATE, INSPECT):
        page.tab[name].select(_clocks, None, clocks, **QUIET)
    library = page.library
    looks = [page.tab[LIBRARY].select, library.search.change, library.search.submit]
    looks += [library.favourites.change, library.refresh.click]
    # One event for all of them: a slow answer to an earlier one must not overwrite what was searched last.
    gr.on(looks, events.library_opened, search, [library.page, *clocks], trigger_mode="always_last", **QUIET)
    page.tab[QUEUE].select(events.queue_opened, page.queue.filter, [page.queue.page, *clocks], **QUIET)
    page.tab[MODELS].select(events.models_opened, None, [page.models.page, *clocks], **QUIET)
    page.library.page.click(events.act_in_library, search, [page.library.page, page.toast, page.tabs, *form], **QUIET)
    page.inspect.page.click(events.act_in_inspect, None, [page.toast, page.tabs, *form], **QUIET)
    page.queue.page.click(
        events.act_in_queue,
        [page.memory, page.queue.filter],
        [page.queue.page, page.tabs, page.memory, page.generate.stage, page.toast, page.generate.clock],
        **QUIET,
    )
    models = page.models
    shown = [models.page, page.toast, models.hub_id]
    gr.on([models.fetch.click, models.hub_id.submit], events.download_any, models.hub_id, shown, **QUIET)
    page.models.page.click(events.act_in_models, form, [page.models.page, page.toast, page.tabs, *form, line], **QUIET)


def _wire_life(blocks: gr.Blocks, page: Page, events: PageEvents) -> None:
    tab, form = page.generate, list(page.generate.form)
    opened = [page.header, page.tabs, page.inspect.drop, page.memory, tab.stage, tab.clock, tab.history, tab.examples]
    blocks.load(events.opened, page.memory, [*opened, *form, tab.model_line], **QUIET)
    pulse = [page.header, tab.clock, *form, tab.model_line]
    page.pulse.tick(events.pulse, [tab.model, page.memory], pulse, **QUIET)
