"""The API's own description: served offline, complete, and the same as docs/api.md."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.service.conftest import House

API_PAGE = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture(scope="module")
def document(house: House) -> Any:
    """The OpenAPI document."""
    return house.client.get("/openapi.json").get_json()


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_document_is_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Atelier image service"


def test_the_page_needs_nothing_from_the_network(house: House) -> None:
    page = house.client.get("/docs")
    assert page.content_type.startswith("text/html")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert set(linked) == {"/docs/ui.css", "/docs/ui.js", "/docs/start.js"}
    assert "://" not in page.text
    for path in linked:
        with house.client.get(path) as answer:
            assert answer.status_code == 200
            assert len(answer.data) > 50
    start = house.client.get("/docs/start.js").text
    assert "://" not in start
    assert "validatorUrl: null" in start


DOORS = ("native.", "openai.", "automatic1111.", "playground.", "environment.")


def test_a_person_with_a_browser_gets_a_page_and_a_program_gets_json(house: House) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    for path, status in (("/", 200), ("/nonsense", 404)):
        for language, word in (("en-GB,en", "service"), ("zh-CN,zh;q=0.9,en;q=0.8", "图像服务"), ("fr", "service")):
            page = house.client.get(path, headers=browser | {"Accept-Language": language})
            assert (page.status_code, page.mimetype) == (status, "text/html")
            assert word in page.text
            assert f'href="http://localhost:{house.service.parts.settings.ui_port}/"' in page.text
            assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert {"Accept", "Accept-Language"} <= set(page.vary.as_set(preserve_casing=True))
        for accept in ("*/*", "application/json", "application/problem+json"):
            answer = house.client.get(path, headers={"Accept": accept})
            assert (answer.status_code, answer.is_json) == (status, True), (path, accept)
    assert house.client.post("/nonsense", headers=browser).is_json
    assert house.client.get("/api/jobs/none", headers=browser).get_json()["code"] == "unknown_job"


def test_every_address_of_every_door_is_in_the_document(house: House, document: Any) -> None:
    rules = house.service.app.url_map.iter_rules()
    served = {
        (method, re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule))
        for rule in rules
        if rule.endpoint.startswith(DOORS)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert len(served) > 70
    assert served <= {(method, path) for method, path, _ in operations(document)}


def test_every_native_operation_says_what_it_is_and_how_it_fails(document: Any) -> None:
    native = {"jobs", "events", "images", "inputs", "models", "operations"}
    for method, path, operation in operations(document):
        if not native & set(operation["tags"]):
            continue
        assert operation["summary"], path
        for status in ("400", "401", "403", "503"):
            problem = operation["responses"][status]["content"]["application/problem+json"]
            assert problem["schema"]["$ref"].endswith("/Problem"), (method, path)


FAILURES = {
    "openai": "OpenAIFailure",
    "automatic1111": "A1111Failure",
    "playground": "PlaygroundFailure",
    "environment": "EnvironmentFailure",
}


def test_every_other_programs_operation_fails_in_its_own_shape(document: Any) -> None:
    for method, path, operation in operations(document):
        [tag] = operation["tags"]
        if tag in FAILURES:
            assert operation["summary"], path
            for status in ("400", "401", "403", "503"):
                failure = operation["responses"][status]["content"]["application/json"]
                assert failure["schema"]["$ref"].endswith(f"/{FAILURES[tag]}"), (method, path)


def test_every_field_that_another_program_may_send_says_what_it_is(document: Any) -> None:
    schemas = document["components"]["schemas"]
    bodies = [
        next(iter(operation["requestBody"]["content"].values()))["schema"]["$ref"].rpartition("/")[2]
        for _, _, operation in operations(document)
        if operation["tags"][0] in FAILURES and "requestBody" in operation
    ]
    assert len(bodies) == 14
    for name in bodies:
        for field, schema in schemas[name]["properties"].items():
            assert schema.get("description") or "$ref" in str(schema), (name, field)


def test_the_api_page_has_every_address(document: Any) -> None:
    text = API_PAGE.read_text("utf-8")
    missing = [f"{method} {path}" for method, path, _ in operations(document) if f"{method} {path}`" not in text]
    assert missing == []


def test_the_api_page_names_no_address_that_does_not_exist(document: Any) -> None:
    named = set(re.findall(r"`(GET|POST|PATCH|DELETE|PUT) (/[^`?\s]*)", API_PAGE.read_text("utf-8")))
    served = {(method, path) for method, path, _ in operations(document)}
    assert named - served <= {("GET", "/docs"), ("GET", "/openapi.json")}
