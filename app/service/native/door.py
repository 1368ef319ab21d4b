"""The native API: one blueprint made of one file for each resource. Its errors are problem+json."""

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.openapi import OpenAPI

from app.service.http.parameters import check_body
from app.service.native import describe, events, grids, images, inputs, jobs, models, operations, queue, sketches, trash
from app.service.parts import Parts


def register(app: OpenAPI, parts: Parts) -> None:
    """Open this door."""
    native = APIBlueprint("native", __name__)
    native.before_request(check_body)
    for resource in (jobs, describe, sketches, queue, events, grids, images, trash, inputs, models, operations):
        native.register_api(resource.blueprint())
    app.register_api(native)
