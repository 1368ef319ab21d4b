"""What every tab is built from, and the few things they all do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.core.errors import ModelNotInstalled, ServiceError, ServiceUnreachable
from app.core.models import ModelInfo
from app.core.settings import Settings
from app.ui.form import Form, form_of
from app.ui.link import ServiceLink
from app.ui.strings import Strings, Words
from app.ui.uploads import Uploads
from app.ui.views.downloads import draw_when_here
from app.ui.views.header import error_text, hint_text
from app.ui.views.toast import toast, undoable

# A tab's own events: small calls that answer at once, not part of any API, and no spinner over the page.
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "show_progress_on": [], "api_visibility": "private"}
# The names of the tabs, as `?tab=` and the code call them.
GENERATE, GRID, LIBRARY, QUEUE, INSPECT, MODELS = "generate", "grid", "library", "queue", "inspect", "models"
DESCRIBE = "describe"
TABS = (GENERATE, DESCRIBE, GRID, LIBRARY, QUEUE, INSPECT, MODELS)


@dataclass(frozen=True)
class Studio:
    """The line to the service, the words, and what visitors just handed in. One for the whole page."""

    settings: Settings
    link: ServiceLink
    strings: Strings
    texts: gr.I18n
    uploads: Uploads

    def words(self, request: gr.Request) -> Words:
        """The words for this visitor."""
        return self.strings.for_request(request)

    def models(self) -> list[ModelInfo]:
        """The catalog, or nothing while the service is away."""
        try:
            return self.link.models()
        except ServiceError:
            return []

    def model(self, key: str | None) -> ModelInfo | None:
        """One model of the catalog."""
        return find_model(self.models(), key)

    def deleted(self, ids: Sequence[str], words: Words) -> str:
        """Pictures were deleted, as a passing message; with a way back where there is a trash."""
        text, status = words.count("pictures_deleted", len(ids)), self.link.state().status
        return undoable(text, words, ids) if status is not None and status.trash_days else toast(text, words)

    def refusal(self, error: ServiceError, words: Words, asked: Mapping[str, Any] | None = None) -> str:
        """A failed call as a passing message. If what is missing is the model of what was `asked` for, a button
        downloads it, and then that is drawn."""
        hint = hint_text(error.code, error.hint, words)
        away = isinstance(error, ServiceUnreachable)
        absent = self.model(asked.get("model")) if asked and error.code == ModelNotInstalled.code else None
        more = draw_when_here(absent, asked, words) if absent and asked else None
        return toast(error_text(error, words), words, "bad", None if more else hint, passing=away, more=more)


def find_model(models: Sequence[ModelInfo], key: str | None) -> ModelInfo | None:
    """The model with this key."""
    return next((model for model in models if model.key == key), None)


def default_model(models: Sequence[ModelInfo]) -> ModelInfo | None:
    """The model that a new page offers."""
    marked = (model for model in models if model.default)
    return next(marked, models[0] if models else None)


def settings_of(request: Mapping[str, Any], models: Sequence[ModelInfo], words: Words) -> tuple[Form | None, str]:
    """A stored request as the form's fields, with a sentence about it. None if there is no model to draw it."""
    model = find_model(models, request.get("model"))
    if model is not None:
        return form_of(request, model), words("settings_applied")
    other = default_model(models)
    if other is None:
        return None, words("problem_no_model")
    named = str(request.get("model") or "")[:80]
    text = words("settings_applied_other_model", model=named, other=other.key) if named else words("settings_applied")
    return form_of(request, other), text
