"""One table says which key may do what, at every door; nothing is open that nobody has decided about."""

import re
from collections.abc import Callable

import pytest
from flask_openapi3.openapi import OpenAPI

from app.service import Parts
from app.service.http import scopes
from app.service.http.keys import Scope
from app.service.http.scopes import TABLE, Act, UnlistedAddress, lines, page
from app.service.http.scopes_page import PAGE
from tests.service.conftest import House
from tests.service.test_keys import a_ring, bearer

ACTS = lines()
# What acts differently is named here by hand, so that a row that slips into another group is noticed.
DECIDED = {
    "GET /health": None,
    "GET /api/jobs": Scope.READ,
    "GET /api/jobs/<job_id>/events": Scope.READ,
    "POST /api/inspect": Scope.READ,
    "POST /sdapi/v1/png-info": Scope.READ,
    "POST /api/jobs": Scope.GENERATE,
    "POST /prompt": Scope.GENERATE,
    "POST /sdapi/v1/txt2img": Scope.GENERATE,
    "POST /v1/images/generations": Scope.GENERATE,
    "POST /image/generate": Scope.GENERATE,
    "POST /api/jobs/<job_id>/cancel": Scope.GENERATE,
    "POST /sdapi/v1/interrupt": Scope.GENERATE,
    "PATCH /api/images/<image_id>": Scope.GENERATE,
    "DELETE /api/images/<image_id>": Scope.ADMIN,
    "DELETE /library/<queue_id>/<image_id>.png": Scope.ADMIN,
    "POST /api/models/<model:key>/load": Scope.ADMIN,
    "POST /sdapi/v1/options": Scope.ADMIN,
    "POST /sdapi/v1/unload-checkpoint": Scope.ADMIN,
    "POST /sdapi/v1/reload-checkpoint": Scope.ADMIN,
    "POST /api/queue/pause": Scope.ADMIN,
    "GET /metrics": Scope.ADMIN,
}


def test_the_decided_scopes_are_in_the_table() -> None:
    assert {line: ACTS[line].scope for line in DECIDED} == DECIDED


def test_looking_changes_nothing_and_changing_needs_more_than_looking() -> None:
    for line, act in ACTS.items():
        if act in (Act.KNOW, Act.LOOK):
            assert line.startswith("GET ") or re.match(r"POST /(internal/progress|sdapi/v1/refresh-)", line), line
        if line.startswith(("DELETE", "PATCH")):
            assert act.scope in (Scope.GENERATE, Scope.ADMIN)


@pytest.fixture(scope="module")
def house(make_house: Callable[..., House]) -> House:
    """With a key for each scope, whose secret is the scope's name; its queue is paused."""
    keys = a_ring(**{scope.value: scope for scope in Scope})
    return make_house(keys=keys, start_paused=True)


def test_every_address_asks_every_key_for_the_scope_of_its_act(house: House) -> None:
    """Without a body nothing is done anywhere: what matters is whether the door is opened."""
    walked = set()
    rules = house.service.app.url_map.iter_rules()
    for rule in rules:
        path = re.sub(r"<any\('?(\w+(?:\.\w+)?)[^>]*>", r"\1", rule.rule)
        path = re.sub(r"<[^>]+>", "nobody", path)
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            scope = ACTS[f"{'GET' if method == 'HEAD' else method} {rule.rule}"].scope
            walked.add(f"{method} {rule.rule}")
            for key in (None, "wrong", *Scope):
                with house.client.open(path, method=method, headers=bearer(key) if key else {}) as answer:
                    status = answer.status_code
                told = (method, path, key, status)
                if scope is None:
                    assert status not in (401, 403), told
                elif key in (None, "wrong"):
                    assert status == 401, told
                else:
                    assert (status == 403) is not Scope(key).includes(scope), told
                    assert status != 401, told
    assert {line for line in walked if not line.startswith("HEAD ")} == ACTS.keys()


def test_a_refused_delete_deletes_nothing(make_house: Callable[..., House]) -> None:
    house = make_house(keys=a_ring(maker=Scope.GENERATE, boss=Scope.ADMIN))
    job = house.client.post("/api/jobs", json={"prompt": "x"}, headers=bearer("maker")).get_json()
    while (job := house.client.get(f"/api/jobs/{job['id']}", headers=bearer("maker")).get_json())[
        "state"
    ] != "succeeded":
        assert job["state"] in ("queued", "running")
    image = job["images"][0]
    for path in (f"/api/images/{image['id']}", f"/library/{job['id']}/{image['id']}.png"):
        assert house.client.delete(path, headers=bearer("maker")).status_code == 403
    assert house.client.get(image["url"], headers=bearer("maker")).status_code == 200
    assert house.client.delete(f"/library/{job['id']}/{image['id']}.png", headers=bearer("boss")).status_code == 204


def test_the_app_does_not_start_with_an_address_that_nobody_decided_about(make_house: Callable[..., House]) -> None:
    def door(app: OpenAPI, _parts: Parts) -> None:
        app.add_url_rule("/back/door", view_func=lambda: "in", methods=["GET", "PUT"])

    with pytest.raises(UnlistedAddress, match="GET /back/door, PUT /back/door"):
        make_house(doors=(door,))
    with pytest.raises(UnlistedAddress, match="PUT /back/door"):
        make_house(doors=(door,), look="\nGET /back/door")


def test_an_address_stands_in_one_group_only() -> None:
    with pytest.raises(UnlistedAddress, match="two acts"):
        lines(TABLE | {Act.DELETE: TABLE[Act.DELETE] + "\nGET /api/jobs"})


def test_the_page_of_scopes_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m app.service.http.scopes_page"
    assert all(f"`{line}`" in page() for line in scopes.lines())
