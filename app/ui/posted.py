"""A form that a script of the page posts as it stands, without Gradio."""

import json
from collections.abc import Mapping
from typing import Any

from app.core.errors import ServiceError
from app.ui.actions import lists_in, plain_values
from app.ui.form import form_of
from app.ui.strings import Words
from app.ui.studio import Studio, default_model, find_model


def posted(body: bytes) -> Mapping[Any, Any] | None:
    """The JSON object that a browser sent; None for anything else."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return asked if isinstance(asked, Mapping) else None


def request_of(asked: Mapping[Any, Any], studio: Studio, words: Words) -> dict[str, Any] | str:
    """The form as the service takes it, drawn by the model that it names or else by the default one; or what is wrong
    with it, in the reader's language."""
    try:
        models = studio.link.latest_models()
    except ServiceError:
        models = []
    model = find_model(models, str(asked.get("model"))) or default_model(models)
    if model is None:
        return words("problem_no_model")
    try:
        form = form_of(plain_values(asked) | lists_in(asked), model)
        problems = form.problems(model, words)
        return " ".join(problems) if problems else form.request()
    except (ValueError, OverflowError):  # a browser may send anything
        return words("settings_unusable")
