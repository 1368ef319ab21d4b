"""What happens between the tabs: each method is one event that concerns more than one of them."""

from collections.abc import Callable
from functools import partial

import gradio as gr

from app.core.errors import ServiceError
from app.core.task import Task
from app.ui.actions import Action, texts_of
from app.ui.markup import notice
from app.ui.search import LIKE
from app.ui.shell import Shell, Updates, Values, unlike_built
from app.ui.studio import GENERATE, LIBRARY, MODELS, QUEUE, TABS, Studio
from app.ui.tabs.describe_tab import DescribeTab
from app.ui.tabs.generate_events import GenerateEvents
from app.ui.tabs.grid_tab import GridEvents
from app.ui.tabs.inspect_tab import InspectTab
from app.ui.tabs.library_tab import WALL, LibraryEvents, LibraryTab
from app.ui.tabs.models_tab import ModelsEvents, ModelsTab
from app.ui.tabs.queue_tab import QueueEvents, QueueTab
from app.ui.views.header import header
from app.ui.views.inspect import drop_zone
from app.ui.views.toast import toast
from app.ui.visitors import PERSON


class PageEvents:
    """The events, for one studio."""

    def __init__(
        self,
        studio: Studio,
        shell: Shell,
        generate: GenerateEvents,
        library: LibraryTab,
        queue: QueueTab,
        models: ModelsTab,
        inspect: InspectTab,
        grids: GridEvents,
        describe: DescribeTab,
    ) -> None:
        self._studio = studio
        self._shell = shell
        self._generate = generate
        self._library_tab, self._queue_tab, self._models_tab, self._inspect_tab = library, queue, models, inspect
        self._grids = grids
        self._describe_tab = describe
        self._library = LibraryEvents(studio, shell, library)
        self._queue = QueueEvents(studio, queue)
        self._models = ModelsEvents(studio)

    def opened(self, request: gr.Request, values: Values) -> Updates:
        """A page was opened or reloaded: header, chosen tab, drop zone, and everything of the generate tab."""
        asked, words = request.query_params.get("tab", GENERATE), self._studio.words(request)
        own = {
            self._shell.header: self._header(request),
            self._shell.tabs: gr.update(selected=asked if asked in TABS else GENERATE),
            self._inspect_tab.drop: drop_zone(words("inspect_drop")),
            self._describe_tab.drop: drop_zone(words("start_drop")),
            self._describe_tab.page: notice(words("describe_empty")),
        }
        return unlike_built(own | self._generate.opened(request, values))

    def pulse(self, request: gr.Request, values: Values) -> Updates:
        """How the service is: header, the jobs' clock, the model's line, and the form's fields if they were empty."""
        words = self._studio.words(request)
        came = self._generate.form.fill_if_empty(values, words) | self._generate.others_did(values, words)
        began = self._generate.draw_awaited(values, words)
        return {self._shell.header: self._header(request)} | self._generate.clock_if_busy(values) | came | began

    def act_in_header(self, request: gr.Request, event: gr.EventData) -> Updates:
        """The button that lets a paused queue go on."""
        words, action = self._studio.words(request), Action.of(event)
        if action.act != "resume":
            return {}
        try:
            self._studio.link.set_paused(False)
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}
        return {self._shell.header: self._header(request), self._shell.toast: toast(words("queue_goes_on"), words)}

    def act_in_toast(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """The buttons that have deleted pictures back, or download the model that was missing and then draw.

        The parts that show those see to themselves.
        """
        words, action, link = self._studio.words(request), Action.of(event), self._studio.link
        ids = texts_of(action.data.get("ids"))
        try:
            if action.act == "download-draw":
                return self._generate.form.awaited.begin(action, values, words)
            if action.act != "undo":
                return {}
            for id in ids:
                link.ask(partial(link.client.restore_image, id))
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}
        return {self._shell.toast: toast(words.count("pictures_restored", len(ids)), words)}

    def clocks(self, running: str | None = None) -> Updates:
        """The clocks of the library, the queue and the models tab: only the chosen tab's runs."""
        return {
            self._library_tab.clock: gr.Timer(active=running == LIBRARY),
            self._queue_tab.clock: gr.Timer(active=running == QUEUE),
            self._models_tab.clock: gr.Timer(active=running == MODELS),
        }

    def library_opened(self, request: gr.Request, values: Values) -> Updates:
        """Something else is searched: its first page."""
        return self._library.first_page(request, values) | self.clocks(LIBRARY)

    def library_returned(self, request: gr.Request, values: Values) -> Updates:
        """The library tab was chosen: where it was left, and its clock runs."""
        return self._library.returned(request, values) | self.clocks(LIBRARY)

    def library_looked(self, request: gr.Request, values: Values) -> Updates:
        """The library's page where it is, if its pictures are others by now."""
        return self._library.again(request, values)

    def queue_opened(self, request: gr.Request, values: Values) -> Updates:
        """The queue tab was chosen: its list, and its clock runs."""
        return self._queue.show(request, values) | self.clocks(QUEUE)

    def queue_searched(self, request: gr.Request, values: Values) -> Updates:
        """Other jobs are asked for: from the first page."""
        return self._queue.first_page(request, values)

    def queue_looked(self, request: gr.Request, values: Values) -> Updates:
        """The page of the queue that is shown, as it is by now."""
        return self._queue.show(request, values)

    def models_opened(self, request: gr.Request) -> Updates:
        """The models tab was chosen: its cards, and its clock runs."""
        return {self._models_tab.page: self._models.show(request)} | self.clocks(MODELS)

    def act_in_library(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """A button in the library."""
        action, words = Action.of(event), self._studio.words(request)
        if action.act == "start":
            return self._generate.form.start.use_image(action.id, values, words)
        if action.act == "alike":  # the search's own event shows them
            return {self._library_tab.search: f"{LIKE}:{action.id}", self._library_tab.view: WALL}
        if action.act != "restore":
            return self._library.act(request, event, values)
        return self._use(request, lambda: self._generate.settings_of_image(action.id, words))

    def act_in_inspect(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """The button that uses what was found, or makes the grid of a sheet or a larger picture again."""
        action, words = Action.of(event), self._studio.words(request)
        if action.act == "make-grid":
            try:
                return self._grids.make_of_sheet(action, words)
            except ServiceError as error:
                return {self._shell.toast: self._studio.refusal(error, words)}
        found = action.mapping("request")
        if found is None:
            return {}
        if found.get("task") == Task.UPSCALE.value:  # the form has no fields for it
            return self._use(request, lambda: self._generate.submit(values, found, words))
        return self._use(request, lambda: self._generate.form.of_request(found, words))

    def act_in_queue(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """A button in the queue."""
        words, action, link = self._studio.words(request), Action.of(event), self._studio.link
        done: Updates = {}
        try:
            if action.act == "show":
                chosen: Updates = {self._shell.tabs: gr.Tabs(selected=GENERATE)}
                return chosen | self._generate.show_job(values, action.id, words)
            if action.act == "again":
                done = self._generate.submit_again(values, action.id, words)
            elif action.act == "pause":
                link.set_paused(True)
                done = {self._shell.header: self._header(request)}
            else:
                done = self._queue.act(action)
        except ServiceError as error:
            done = {self._shell.toast: self._studio.refusal(error, words)}
        return self._queue.show(request, {**values, **done}) | done

    def act_in_models(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """A button of a model."""
        words, action = self._studio.words(request), Action.of(event)
        if action.act == "use":
            chosen: Updates = {self._shell.tabs: gr.Tabs(selected=GENERATE)}
            return chosen | self._generate.form.use_model(action.id, values, words)
        said: Updates = {}
        try:
            self._models.act(action.act, action.id)
        except ServiceError as error:
            said = {self._shell.toast: self._studio.refusal(error, words)}
        return {self._models_tab.page: self._models.show(request)} | said

    def download_any(self, request: gr.Request, values: Values) -> Updates:
        """Any model of the hub."""
        key = (values.get(self._models_tab.hub_id) or "").strip()
        if not key:
            return {}
        try:
            self._models.act("download", key)
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, self._studio.words(request))}
        return {self._models_tab.page: self._models.show(request), self._models_tab.hub_id: ""}

    def _use(self, request: gr.Request, find: Callable[[], Updates]) -> Updates:
        words = self._studio.words(request)
        try:
            found = find()
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}
        except ValueError:  # a file may say anything
            return {self._shell.toast: toast(words("settings_unusable"), words, "bad")}
        return {self._shell.tabs: gr.Tabs(selected=GENERATE)} | found

    def _header(self, request: gr.Request) -> str:
        link = self._studio.link
        person = request.request.scope.get(PERSON)
        return header(link.state(), link.client.url, self._studio.words(request), person)
