"""The AUTOMATIC1111 door: its routes put together."""

from flask import Blueprint, Flask

from app.service.automatic1111.generation import Callers, ChosenModel, add_generation, error_answer
from app.service.automatic1111.lists import add_extras, add_lists, add_options
from app.service.http.errors import answer_errors_with
from app.service.parts import Parts


def create_blueprint(parts: Parts) -> Blueprint:
    """All routes of `/sdapi/v1` and the two `/internal` ones that its clients use."""
    blueprint = Blueprint("automatic1111", __name__)
    model = ChosenModel(parts.catalog.default_key)
    callers = Callers()
    add_generation(blueprint, parts, callers, model)
    add_lists(blueprint, parts)
    add_options(blueprint, parts, callers, model)
    add_extras(blueprint, parts)
    answer_errors_with(blueprint, error_answer)
    return blueprint


def register(app: Flask, parts: Parts) -> None:
    """Open the door."""
    app.register_blueprint(create_blueprint(parts))
