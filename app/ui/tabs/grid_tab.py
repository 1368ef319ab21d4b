"""The grid tab: up to three parameters with their values, one picture for each combination, shown as a table."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from pydantic import ValidationError

from app.core.axes import axis_kinds
from app.core.errors import ServiceError
from app.core.grids import MAX_TEXT_CHARS, PLACES, Grid, GridRequest
from app.ui.actions import Action, html_part
from app.ui.shell import Shell, Updates, Values
from app.ui.strings import ENGLISH, Words
from app.ui.studio import GRID, Studio
from app.ui.tabs.generate_events import GenerateEvents
from app.ui.views.grid import axis_values, grid_page, grid_title
from app.ui.views.toast import NO_TOAST, toast

LISTED = 50
EVERY_S = 1.0
NOTHING = ""  # of an axis that is not used
FIRST = {"x": "num_inference_steps", "y": "seed", "z": NOTHING}


@dataclass(frozen=True)
class GridTab:
    """The components that other files wire up. `names` and `values` by the axis: x, y, z."""

    names: Mapping[str, gr.Dropdown]
    values: Mapping[str, gr.Textbox]
    make: gr.Button
    chooser: gr.Dropdown
    page: gr.HTML
    clock: gr.Timer

    @property
    def axes(self) -> list[gr.components.Component]:
        """All that says what is varied."""
        return [*self.names.values(), *self.values.values()]

    @property
    def shown(self) -> list[gr.components.Component]:
        """All that shows the grids."""
        return [self.chooser, self.page, self.clock]


def create_grid_tab(studio: Studio) -> GridTab:
    """Lay the tab out. Call it inside the tab."""
    texts, known = studio.texts, studio.strings.words(ENGLISH)
    fields = [(texts(f"field_{name}") if known.find(f"field_{name}") else name, name) for name in axis_kinds()]
    names, values = {}, {}
    gr.Markdown(texts("grid_hint"), elem_classes="at-quiet")
    for place in PLACES:
        with gr.Row(elem_classes="at-tight"):
            choices = [(texts("grid_unused"), NOTHING), *fields] if place != "x" else fields
            names[place] = gr.Dropdown(
                choices, value=FIRST[place], label=texts(f"grid_{place}"), scale=1, min_width=180,
                elem_id=f"at-grid-{place}",
            )  # fmt: skip
            values[place] = gr.Textbox(
                label=texts("grid_values"), placeholder=texts("grid_values_placeholder"), max_lines=2, scale=3,
                max_length=MAX_TEXT_CHARS, elem_id=f"at-grid-{place}-values",
            )  # fmt: skip
    make = gr.Button(texts("grid_make"), variant="primary", elem_id="at-grid-make")
    # Any value: a page that outlives its server still names the grid that it shows.
    chooser = gr.Dropdown(
        [], value=None, label=texts("grid_choose"), allow_custom_value=True, elem_id="at-grid-chooser"
    )
    page = html_part("at-grid-page")
    return GridTab(names, values, make, chooser, page, gr.Timer(EVERY_S, active=False))


class GridEvents:
    """The events of the tab, for one studio. The settings that no axis varies are those of the generate tab."""

    def __init__(self, studio: Studio, shell: Shell, generate: GenerateEvents, tab: GridTab) -> None:
        self._studio = studio
        self._link = studio.link
        self._shell = shell
        self._generate = generate
        self._tab = tab

    def make(self, request: gr.Request, values: Values) -> Updates:
        """Send the form with its axes to the service."""
        words = self._studio.words(request)
        try:
            body = self._generate.body(request, values, words)
            if isinstance(body, str):
                return self._say(body, words)
            axes = {
                place: {"name": name, "values": text}
                for place in PLACES
                if (name := values.get(self._tab.names[place])) and (text := values.get(self._tab.values[place]))
            }
            if "x" not in axes:
                return self._say(words("grid_no_x"), words)
            return self._submitted({"request": body | {"num_images": 1}, **axes}, words)
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}

    def show(self, request: gr.Request, values: Values) -> Updates:
        """The tab was chosen, or a grid in the list: that one, else the newest."""
        return self._look(values.get(self._tab.chooser), self._studio.words(request))

    def tick(self, request: gr.Request, values: Values) -> Updates:
        """The grid that is shown, again, until it is done."""
        words, chosen = self._studio.words(request), values.get(self._tab.chooser)
        try:
            return self._shown(self._link.ask(lambda: self._link.client.grid(str(chosen))), words)
        except ServiceError:
            return {}

    def act(self, request: gr.Request, event: gr.EventData) -> Updates:
        """A button of a grid."""
        words, action, client = self._studio.words(request), Action.of(event), self._link.client
        try:
            if action.act == "cancel":
                return self._shown(self._link.ask(lambda: client.cancel_grid(action.id)), words)
            if action.act == "again":
                asked = self._link.ask(lambda: client.grid(action.id)).asked()
                return self._submitted(asked.model_dump(mode="json"), words)
            if action.act == "use":
                return self._used(self._link.ask(lambda: client.grid(action.id)), words)
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}
        return {}

    def make_of_sheet(self, action: Action, words: Words) -> Updates:
        """The grid of a sheet that was inspected. Raises ServiceError."""
        try:
            asked = GridRequest.model_validate_json(str(action.data.get("grid")))
        except ValidationError:
            return self._say(words("settings_unusable"), words)
        return {self._shell.tabs: gr.Tabs(selected=GRID)} | self._submitted(asked.model_dump(mode="json"), words)

    def _submitted(self, body: Mapping[str, Any], words: Words) -> Updates:
        key = str(uuid.uuid4())
        grid = self._link.ask(lambda: self._link.client.submit_grid(body, idempotency_key=key, origin="ui"))
        return self._look(grid.id, words) | {self._shell.toast: NO_TOAST}

    def _look(self, chosen: Any, words: Words) -> Updates:
        try:
            listed, _ = self._link.ask(lambda: self._link.client.grids(limit=LISTED))
            ids = [grid.id for grid in listed]
            grid_id = chosen if chosen in ids else next(iter(ids), None)
            grid = None if grid_id is None else self._link.ask(lambda: self._link.client.grid(grid_id))
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}
        choices = [(grid_title(each, words), each.id) for each in listed]
        return {self._tab.chooser: gr.update(choices=choices, value=grid_id)} | self._shown(grid, words)

    def _shown(self, grid: Grid | None, words: Words) -> Updates:
        going = grid is not None and not grid.state.finished
        return {self._tab.page: grid_page(grid, words), self._tab.clock: gr.Timer(active=going)}

    def _used(self, grid: Grid, words: Words) -> Updates:
        given = dict(zip(PLACES, grid.asked().axes, strict=False))
        axes: Updates = {}
        for place in PLACES:
            axis = given.get(place)
            axes[self._tab.names[place]] = axis.name if axis else NOTHING
            axes[self._tab.values[place]] = axis_values(axis) if axis else ""
        return axes | self._generate.form.of_request(grid.request.model_dump(), words)

    def _say(self, text: str, words: Words) -> Updates:
        return {self._shell.toast: toast(text, words, "bad")}
