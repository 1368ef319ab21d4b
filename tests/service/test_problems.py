"""What the service says to requests that it cannot serve."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.openapi import OpenAPI

from app.service import Parts
from app.service.http.body_limits import MAX_JSON_BYTES
from app.service.http.errors import answer_errors_with
from tests.service.conftest import House


def wrong_fields(house: House, body: Any) -> dict[str, dict[str, Any]]:
    answer = house.client.post("/api/jobs", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.content_type == "application/problem+json"
    return {error["field"]: error for error in answer.get_json()["errors"]}


def test_a_problem_has_every_member_of_rfc_9457_and_the_request_id(house: House) -> None:
    answer = house.client.get("/api/jobs/nobody", headers={"X-Request-Id": "my-request.1"})
    assert answer.headers["X-Request-Id"] == "my-request.1"
    assert answer.get_json() == {
        "type": "urn:atelier:problem:unknown_job",
        "title": "There is no job with this id",
        "status": 404,
        "detail": "There is no job with the id 'nobody'.",
        "code": "unknown_job",
        "request_id": "my-request.1",
        "hint": None,
        "errors": [],
    }


def test_a_request_id_that_could_forge_a_log_line_is_replaced(house: House) -> None:
    answer = house.client.get("/health", headers={"X-Request-Id": "a b"})
    assert answer.headers["X-Request-Id"] != "a b"
    assert len(house.client.get("/health", headers={"X-Request-Id": "x" * 65}).headers["X-Request-Id"]) == 32


def test_steps_zero_names_field_value_and_range(house: House) -> None:
    error = wrong_fields(house, {"prompt": "x", "num_inference_steps": 0})["num_inference_steps"]
    assert error == {"field": "num_inference_steps", "value": 0, "allowed": "allowed is 1 to 1000"}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("num_inference_steps", 101, "1 to 100 for model pocket"),
        ("width", 70, "64 to 256 in steps of 8 for model pocket"),
        ("height", 264, "64 to 256 in steps of 8"),
        ("guidance_scale", 21, "0 to 20"),
        ("guidance_scale", "7.5", "a valid number"),
        ("guidance_scale", True, "a valid number"),
        ("seed", -2, "-1 to 4294967359"),
        ("seed", 2**32 + 64, "-1 to 4294967359"),
        ("seed", 1.5, "a valid integer"),
        ("num_images", 0, "1"),
        ("num_images", 11, "1 to 10"),
        ("model", "nobody", "pocket, other"),
        ("prompt", "x" * 20_001, "20000 characters"),
        ("prompt", "NUL \0", "NUL"),
        ("prompt", "lone \ud800", "unicode"),
        ("prompt", None, "a valid string"),
        ("colour", "red", "prompt, negative_prompt, styles, model"),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_is_allowed(
    house: House, field: str, value: Any, words: str
) -> None:
    error = wrong_fields(house, {"prompt": "x"} | {field: value})[field]
    assert words.lower() in error["allowed"].lower()
    if not isinstance(value, str) or len(value) < 100:
        assert error["value"] == value
    else:
        assert len(error["value"]) <= 200


def test_all_wrong_fields_are_told_at_once(house: House) -> None:
    assert wrong_fields(house, {"width": 0, "height": "big"}).keys() == {"prompt", "width", "height"}


def test_an_unknown_query_parameter_is_an_error_and_not_ignored(house: House) -> None:
    answer = house.client.get("/api/images?favorite=true")
    assert answer.status_code == 422
    assert "favourite" in answer.get_json()["errors"][0]["allowed"]


@pytest.mark.parametrize(
    "body",
    ['{"prompt": ', "", "[1", '{"prompt": "x", "guidance_scale": NaN}', '{"seed": 1' + "0" * 5000 + "}", "[" * 9**5],
)
def test_a_body_that_is_no_json_is_400(house: House, body: str) -> None:
    answer = house.client.post("/api/jobs", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("body", ["[]", '"{}"', "null", "1"])
def test_json_that_is_no_object_is_422(house: House, body: str) -> None:
    assert house.client.post("/api/jobs", data=body, content_type="application/json").status_code == 422


BODIES = [
    '{"prompt": "x", "extra": {"a": ' + "[" * 33 + "]" * 33 + "}}",
    '{"prompt": ' + "[" * 40 + "]" * 40 + "}",
    '{"prompt": "x", "extra": ' + '{"a":' * 5000 + "1" + "}" * 5000 + "}",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "path", ["/api/jobs", "/prompt", "/v1/images/generations", "/sdapi/v1/txt2img", "/image/generate"]
)
def test_a_body_of_many_levels_is_refused_at_every_door_before_anything_is_done_with_it(
    house: House, path: str, body: str
) -> None:
    answer = house.client.post(path, data=body, content_type="application/json")
    assert answer.status_code in (400, 422)
    assert len(answer.data) < 1_000


def test_a_body_of_very_many_parts_is_refused_where_pictures_are_taken(house: House) -> None:
    body = b'{"image": [' + b"[]," * 300_000 + b"[]]}"
    answer = house.client.post("/sdapi/v1/png-info", data=body, content_type="application/json")
    assert answer.status_code == 422


@pytest.mark.parametrize("path", ["/prompt", "/v1/images/generations", "/image/generate"])
def test_no_door_reads_more_than_a_request_can_need(house: House, path: str) -> None:
    body = b'{"prompt": "' + b"x" * MAX_JSON_BYTES + b'"}'
    assert house.client.post(path, data=body, content_type="application/json").status_code == 413


def test_extra_may_be_16_kib_of_text(house: House) -> None:
    room = 16 * 2**10 - len('{"a": ""}')
    assert house.client.post("/api/jobs", json={"prompt": "x", "extra": {"a": "x" * room}}).status_code == 202
    for extra in ({"a": "x" * (room + 1)}, {"a": "é" * (room // 2 + 1)}, {"a": "\ud800"}, {"\udfff": 1}):
        assert "extra" in wrong_fields(house, {"prompt": "x", "extra": extra})
    deep = '{"prompt": "x", "extra": {"a": ' + "[" * 31 + "]" * 31 + "}}"
    assert house.client.post("/api/jobs", data=deep, content_type="application/json").status_code == 202


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_another_content_type_is_415(house: House, content_type: str) -> None:
    answer = house.client.post("/api/jobs", data=json.dumps({"prompt": "x"}), content_type=content_type)
    assert answer.status_code == 415
    assert answer.get_json()["code"] == "wrong_content_type"


def test_a_json_body_one_byte_too_long_is_413(house: House) -> None:
    for size, status in ((MAX_JSON_BYTES, 422), (MAX_JSON_BYTES + 1, 413)):
        body = '{"prompt": "' + "x" * (size - 14) + '"}'
        assert len(body) == size
        answer = house.client.post("/api/jobs", data=body, content_type="application/json")
        assert answer.status_code == status
        assert answer.content_type == "application/problem+json"


def test_a_picture_one_byte_too_long_is_413(make_house: Callable[..., House]) -> None:
    house = make_house(max_body_bytes=5000)
    for size, status in ((5000, 422), (5001, 413)):
        answer = house.client.post("/api/inspect", data=b"x" * size, content_type="image/png")
        assert answer.status_code == status


def test_a_wrong_method_is_405_with_allow(house: House) -> None:
    answer = house.client.put("/api/jobs")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.content_type == "application/problem+json"


def test_an_address_that_does_not_exist_is_a_problem_too(house: House) -> None:
    assert house.client.get("/nothing/here").get_json()["code"] == "not_found"


def test_a_door_can_answer_errors_in_its_own_shape(make_house: Callable[..., House]) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    def door(app: OpenAPI, _parts: Parts) -> None:
        blueprint = APIBlueprint("strange", __name__)
        blueprint.get("/strange/door")(broken)
        answer_errors_with(blueprint, lambda failure: Response(failure.code.upper(), status=failure.status))
        app.register_api(blueprint)

    house = make_house(doors=(door,), look="\nGET /strange/door")
    assert house.client.get("/strange/door").text == "INTERNAL_ERROR"
    assert house.client.get("/strange").get_json()["code"] == "not_found"
