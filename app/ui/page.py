"""The page: header, tabs, and what happens between the tabs."""

import json
from dataclasses import dataclass

import gradio as gr

from app.ui.actions import html_part
from app.ui.gradio_blocks import FilelessBlocks
from app.ui.memory import REMEMBER, SENT
from app.ui.page_events import PageEvents
from app.ui.shell import Shell
from app.ui.strings import ENGLISH
from app.ui.studio import DESCRIBE, GENERATE, GRID, INSPECT, LIBRARY, MODELS, QUEUE, QUIET, Studio
from app.ui.tabs.describe_tab import DescribeEvents, DescribeTab, create_describe_tab
from app.ui.tabs.form_events import FormEvents
from app.ui.tabs.generate_events import GenerateEvents
from app.ui.tabs.generate_tab import GenerateTab, create_generate_tab
from app.ui.tabs.grid_tab import GridEvents, GridTab, create_grid_tab
from app.ui.tabs.inspect_tab import InspectTab, create_inspect_tab
from app.ui.tabs.library_tab import LibraryTab, create_library_tab
from app.ui.tabs.models_tab import ModelsTab, create_models_tab
from app.ui.tabs.queue_tab import QueueTab, create_queue_tab
from app.ui.views.toast import RESTART

PULSE_S = 1.5  # how often a page asks how the service is
# For events that want to know what the browser remembers. It must be their first input: made first, it is.
REMEMBERING = {**QUIET, "js": SENT}
# For the event that wants to know what is painted just then, too.
MASKED = "async (_, ...others) => { await window.atelierSendMask(); return [window.atelierMemory(), ...others]; }"
# A part of the page that is pressed, once, a moment after fields changed: filling the form changes all of them.
CHANGED = "window.atelierHears('{}', () => trigger('click', {{}}))"
# Tells the browser that an answer is due: without one it says that the page's own server is gone.
PULSE = "(_, ...others) => { window.atelierAsked(); return [window.atelierMemory(), ...others]; }"


@dataclass(frozen=True)
class Page:
    """All parts of the page."""

    shell: Shell
    tab: dict[str, gr.Tab]
    generate: GenerateTab
    grid: GridTab
    library: LibraryTab
    queue: QueueTab
    inspect: InspectTab
    models: ModelsTab
    describe: DescribeTab


def create_page(studio: Studio) -> gr.Blocks:
    """The whole page as Gradio blocks, with every event wired."""
    texts = studio.texts
    title = studio.strings.words(ENGLISH)("app_name")  # Gradio does not translate this one
    with FilelessBlocks(title=title, analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        memory = gr.HTML(js_on_load=REMEMBER, apply_default_css=False, elem_id="at-memory")
        head = html_part("at-header")
        message = html_part("at-toast", RESTART)
        changed = {name: html_part(f"at-changed-{name}", CHANGED.format(name)) for name in ("advice", "draft")}
        tab: dict[str, gr.Tab] = {}
        with gr.Tabs(elem_classes="at-outer"), gr.Tab(texts("tab_multimodal")):  # noqa: SIM117
            with gr.Tabs(selected=GENERATE, overflow_behavior="wrap", elem_id="at-tabs") as tabs:
                with gr.Tab(texts("tab_generate"), id=GENERATE) as tab[GENERATE]:
                    generate = create_generate_tab(studio, list(studio.models()))
                with gr.Tab(texts("tab_describe"), id=DESCRIBE) as tab[DESCRIBE]:
                    describe = create_describe_tab(studio)
                with gr.Tab(texts("tab_grid"), id=GRID) as tab[GRID]:
                    grid = create_grid_tab(studio)
                with gr.Tab(texts("tab_library"), id=LIBRARY) as tab[LIBRARY]:
                    library = create_library_tab(studio)
                with gr.Tab(texts("tab_queue"), id=QUEUE) as tab[QUEUE]:
                    queue = create_queue_tab(studio)
                with gr.Tab(texts("tab_inspect"), id=INSPECT) as tab[INSPECT]:
                    inspect = create_inspect_tab(studio)
                with gr.Tab(texts("tab_models"), id=MODELS) as tab[MODELS]:
                    models = create_models_tab(studio)
        shell = Shell(head, message, memory, tabs, gr.Timer(PULSE_S), changed)
        page = Page(shell, tab, generate, grid, library, queue, inspect, models, describe)
        events = GenerateEvents(studio, shell, generate)
        grids = GridEvents(studio, shell, events, grid)
        shared = PageEvents(studio, shell, events, library, queue, models, inspect, grids, describe)
        _wire_generate(page, events)
        _wire_form(page, events.form)
        _wire_grid(page, grids, shared)
        _wire_describe(page, DescribeEvents(studio, describe))
        _wire_tabs(page, shared)
        _wire_life(blocks, page, shared)
    return blocks


def _wire_generate(page: Page, events: GenerateEvents) -> None:
    tab, fields, shell = page.generate, page.generate.fields, page.shell
    memory, start = {shell.memory}, {fields["model"], fields["num_inference_steps"]}
    jobs = [shell.memory, shell.toast, tab.stage, tab.clock]
    form = [shell.toast, shell.tabs, *fields.outputs]
    pressed = {**QUIET, "js": MASKED}
    tab.generate.click(events.generate, memory | fields.inputs, jobs, trigger_mode="multiple", **pressed)
    tab.clock.tick(events.tick, memory, [tab.stage, tab.clock, tab.history], **REMEMBERING)
    tab.stage.click(events.act, memory | start, [*jobs, shell.tabs, *fields.outputs], **REMEMBERING)
    tab.reuse_seed.click(events.last_seed, memory, [fields["seed"], shell.toast], **REMEMBERING)
    tab.history.click(events.restore, start, form, **QUIET)
    tab.refresh_history.click(events.refresh_history, None, [tab.history], **QUIET)
    fields.start.page.click(events.form.start.act, start, form, **QUIET)


def _wire_form(page: Page, events: FormEvents) -> None:
    tab, fields, shell = page.generate, page.generate.fields, page.shell
    model, control = fields["model"], fields.control
    size = {fields["width"], fields["height"], fields.ratio, model}
    refers = fields.references
    refers.page.click(events.references.act, {refers.names}, [shell.toast, *fields.outputs], **QUIET)
    control.page.click(events.control.act, {model, control.model}, [shell.toast, *fields.outputs], **QUIET)
    for chosen in (control.preprocessor, control.model):
        chosen.input(events.control.look, set(control.inputs), [control.page], **QUIET)
    of_model = [*fields.outputs, tab.model_line, tab.live, tab.loras]
    model.input(events.choose_model, fields.inputs, of_model, **QUIET)
    tab.sketch.click(events.sketch_seed, None, [fields["seed"]], **QUIET)
    fields.ratio.input(events.choose_ratio, size, [fields["width"], fields["height"]], **QUIET)
    for side in (fields["width"], fields["height"]):
        side.input(events.type_size, size, [fields.ratio], **QUIET)
    given = [component.change for component in [*fields.numbers, model]]
    gr.on(given, js="() => window.atelierSoon('advice')", **QUIET)
    page.shell.changed["advice"].click(events.advise, fields.inputs, [tab.advice], trigger_mode="always_last", **QUIET)
    tab.advice.click(events.use_good, fields.inputs, [*fields.outputs, tab.advice], **QUIET)
    tab.defaults.click(events.use_defaults, fields.inputs, fields.outputs, **QUIET)
    tab.dice.click(events.random_seed, None, [fields["seed"]], **QUIET)
    told = [tab.model_line, shell.toast, shell.memory]
    tab.model_line.click(events.act_on_model, {shell.memory, model}, told, **REMEMBERING)
    both = [fields["prompt"], fields["negative_prompt"]]
    tab.loras.click(events.loras.act, set(both), both, **QUIET)
    cards = {fields["styles"], tab.style_cards}
    fields["styles"].change(events.styles.look, cards, [tab.styles_look, tab.style_cards], **QUIET)
    tab.style_cards.click(events.styles.act, cards, [fields["styles"], tab.style_cards], **QUIET)


def _wire_grid(page: Page, events: GridEvents, shared: PageEvents) -> None:
    tab, fields, shell = page.grid, page.generate.fields, page.shell
    shown, chosen = [*tab.shown, shell.toast], {tab.chooser}
    asked = {shell.memory, *tab.axes} | fields.inputs
    tab.make.click(events.make, asked, shown, trigger_mode="multiple", **{**QUIET, "js": MASKED})
    clocks = [page.library.clock, page.queue.clock, page.models.clock]
    page.tab[GRID].select(shared.clocks, None, clocks, **QUIET).then(events.show, chosen, shown, **QUIET)
    tab.chooser.input(events.show, chosen, shown, **QUIET)
    tab.clock.tick(events.tick, chosen, [tab.page, tab.clock], **QUIET)
    form = [shell.toast, shell.tabs, *fields.outputs]
    tab.page.click(events.act, None, [*tab.shown, *tab.axes, *form], **QUIET)


def _wire_describe(page: Page, events: DescribeEvents) -> None:
    tab, prompt = page.describe, page.generate.fields["prompt"]
    page.tab[DESCRIBE].select(events.opened, None, [tab.saved], **QUIET)
    tab.drop.click(events.handed_in, {tab.language}, tab.shown, **QUIET)
    tab.saved.click(events.chosen, {tab.language}, tab.shown, **QUIET)
    tab.clock.tick(events.tick, {tab.job}, tab.shown, **QUIET)
    tab.page.click(events.use, None, [page.shell.tabs, prompt], **QUIET)


def _wire_tabs(page: Page, events: PageEvents) -> None:
    shell, library, queue, models = page.shell, page.library, page.queue, page.models
    fields, stage = page.generate.fields, page.generate.stage
    of_model = [page.generate.model_line, page.generate.live, page.generate.loras]
    search = {library.search, library.favourites, library.oldest, library.view}
    clocks = [library.clock, queue.clock, models.clock]
    form = [shell.toast, shell.tabs, *fields.outputs]
    for name in (GENERATE, DESCRIBE, INSPECT):
        page.tab[name].select(events.clocks, None, clocks, **QUIET)
    remembered, shown = {shell.memory} | search, [library.page, shell.toast, *clocks]
    page.tab[LIBRARY].select(events.library_returned, remembered, shown, **REMEMBERING)
    searched = {**QUIET, "js": "(...values) => { window.atelierWent('[]'); return values; }"}
    looks = [library.search.change, library.search.submit, library.view.change]
    looks += [library.favourites.change, library.oldest.change, library.refresh.click]
    # One event for all of them: a slow answer to an earlier one must not overwrite what was searched last.
    gr.on(looks, events.library_opened, search, shown, trigger_mode="always_last", **searched)
    line = {queue.filter, queue.search, queue.place}
    page.tab[QUEUE].select(events.queue_opened, line, [queue.page, *clocks], **QUIET)
    queue.clock.tick(events.queue_looked, line, [queue.page], **QUIET)
    asked = [queue.filter.input, queue.search.change, queue.search.submit]
    gr.on(asked, events.queue_searched, line, [queue.page, queue.place], trigger_mode="always_last", **QUIET)
    page.tab[MODELS].select(events.models_opened, None, [models.page, *clocks], **QUIET)
    library.clock.tick(events.library_looked, remembered, [library.page, shell.toast], **REMEMBERING)
    for part in (library.page, library.chain):
        acted = [library.page, library.chain, library.search, library.view, *form]
        part.click(events.act_in_library, search | {fields["model"], fields["num_inference_steps"]}, acted, **QUIET)
    again = [shell.memory, stage, page.generate.clock]
    page.inspect.page.click(events.act_in_inspect, {shell.memory}, [*form, *again, *page.grid.shown], **REMEMBERING)
    jobs = [queue.page, queue.place, shell.header, shell.tabs, shell.memory, stage, shell.toast, page.generate.clock]
    queue.page.click(events.act_in_queue, {shell.memory} | line, jobs, **REMEMBERING)
    fetched = [models.page, shell.toast, models.hub_id]
    gr.on([models.fetch.click, models.hub_id.submit], events.download_any, {models.hub_id}, fetched, **QUIET)
    models.page.click(events.act_in_models, fields.inputs, [models.page, *form, *of_model], **QUIET)


def _wire_life(blocks: gr.Blocks, page: Page, events: PageEvents) -> None:
    shell, tab, fields = page.shell, page.generate, page.generate.fields
    form = [*fields.outputs, tab.model_line, tab.live, tab.loras]
    shown = [tab.sketch, tab.style_cards, tab.stage, tab.clock, tab.history, tab.examples, page.inspect.drop]
    shown += [page.describe.drop, page.describe.page]
    above = [shell.header, shell.tabs, shell.memory, shell.toast]
    opened = blocks.load(events.opened, {shell.memory}, [*above, *shown, *form], **REMEMBERING)
    opened.then(None, js="() => window.atelierOpened()", **QUIET)
    names = json.dumps(list(fields.by_name))
    draft = f"(...values) => window.atelierDraft({names}, values)"
    changes = [component.change for component in fields.by_name.values()]
    gr.on(changes, js="() => window.atelierSoon('draft')", **QUIET)
    shell.changed["draft"].click(None, list(fields.by_name.values()), js=draft, **QUIET)
    asked = {fields["model"], fields["negative_prompt"], shell.memory}
    seen = [shell.header, shell.memory, shell.toast, tab.clock, tab.stage, tab.history]
    pulse = shell.pulse.tick(events.pulse, asked, [*seen, *form], **{**QUIET, "js": PULSE})
    pulse.success(None, js="() => window.atelierAnswered()", **QUIET)
    shell.toast.click(events.act_in_toast, {shell.memory}, [shell.toast, shell.memory], **REMEMBERING)
    shell.header.click(events.act_in_header, None, [shell.header, shell.toast], **QUIET)
