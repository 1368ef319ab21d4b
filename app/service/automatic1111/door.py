"""The AUTOMATIC1111 door: its routes put together."""

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI

from app.service.automatic1111.control import add_control
from app.service.automatic1111.extras import add_extras
from app.service.automatic1111.generation import Callers, ChosenModel, add_generation, error_answer
from app.service.automatic1111.img2img import add_image_to_image
from app.service.automatic1111.lists import add_lists, add_options
from app.service.http.errors import answer_errors_with
from app.service.parts import Parts

TAG = Tag(name="automatic1111", description="AUTOMATIC1111's API, as far as its clients use it.")


def create_blueprint(parts: Parts) -> APIBlueprint:
    """All routes of `/sdapi/v1` and the two `/internal` ones that its clients use."""
    api = APIBlueprint("automatic1111", __name__, abp_tags=[TAG])
    model = ChosenModel(parts.catalog.default_key)
    callers = Callers()
    add_generation(api, parts, callers, model)
    add_image_to_image(api, parts, callers, model)
    add_lists(api, parts, model)
    add_options(api, parts, callers, model)
    add_extras(api, parts, callers)
    add_control(api, parts)
    answer_errors_with(api, error_answer)
    return api


def register(app: OpenAPI, parts: Parts) -> None:
    """Open the door."""
    app.register_api(create_blueprint(parts))
