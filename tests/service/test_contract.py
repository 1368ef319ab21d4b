"""Every door against the OpenAPI document, with requests that schemathesis makes up."""

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.service.conftest import House

# Not asked: that everything the document allows is accepted. A model's ranges cannot be said in it.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
NATIVE = ["jobs", "events", "grids", "images", "models", "operations"]
# Not asked of other programs' doors: that all that the document does not allow is refused. They take what clients send.
FOREIGN_CHECKS = [check for check in CHECKS if check is not negative_data_rejection]
GRID = {"request": {"prompt": "a cup"}, "x": {"name": "seed", "values": "1-2"}}
RANDOM_IDS, KNOWN_IDS = 12, 4  # examples of each operation


@pytest.fixture(scope="module")
def operations(house: House) -> list[Any]:
    """Every native operation of the document, as served."""
    schema = schemathesis.openapi.from_wsgi("/openapi.json", house.service.app).include(tag=NATIVE)
    return [result.ok() for result in schema.get_all_operations()]


@pytest.fixture(scope="module", params=["openai", "automatic1111", "playground", "environment"])
def foreign_operations(request: pytest.FixtureRequest, house: House) -> list[Any]:
    """Every operation of one of the other programs' doors."""
    schema = schemathesis.openapi.from_wsgi("/openapi.json", house.service.app).include(tag=request.param)
    return [result.ok() for result in schema.get_all_operations()]


def ask(operation: Any, examples: int, checks: list[Any], change: Callable[[Any], None] = lambda case: None) -> None:
    """Send made-up requests, right and wrong ones, and check each answer."""
    right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @seed(1)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=right | wrong)
    def send(case: Any) -> None:
        change(case)
        case.call_and_validate(checks=checks)

    send()


def test_every_answer_is_documented_and_none_is_our_fault(operations: list[Any]) -> None:
    assert len(operations) >= 24
    for operation in operations:
        ask(operation, RANDOM_IDS, CHECKS)


def test_so_it_is_at_the_doors_of_other_programs(foreign_operations: list[Any]) -> None:
    assert len(foreign_operations) >= 3
    for operation in foreign_operations:
        ask(operation, RANDOM_IDS if operation.body else 1, FOREIGN_CHECKS)


def test_so_it_is_with_ids_that_exist(operations: list[Any], house: House) -> None:
    def put_known_ids(case: Any) -> None:
        known = {
            "job_id": lambda: house.submit()["id"],
            "key": lambda: "pocket",
            "image_id": lambda: house.image()["id"],
            "grid_id": lambda: house.client.post("/api/grids", json=GRID).get_json()["id"],
        }
        case.path_parameters = {name: known[name]() for name in case.path_parameters}

    for operation in operations:
        if operation.path_parameters:
            ask(
                operation, KNOWN_IDS, [check for check in CHECKS if check is not negative_data_rejection], put_known_ids
            )
