"""The queue as people steer it over HTTP: order, priority, cancel all, clear; each caller only its own."""

from collections.abc import Callable
from typing import Any

import pytest

from app.service.http.keys import Scope
from tests.service.conftest import House
from tests.service.test_keys import a_ring, bearer


@pytest.fixture(scope="module")
def house(make_house: Callable[..., House]) -> House:
    """Two makers and an admin; nothing runs."""
    keys = a_ring(ann=Scope.GENERATE, bob=Scope.GENERATE, boss=Scope.ADMIN)
    return make_house(keys=keys, start_paused=True)


def call(house: House, who: str, method: str, path: str, **options: Any) -> Any:
    answer = house.client.open(path, method=method, headers=bearer(who), **options)
    return answer.status_code, answer.get_json()


def submit(house: House, who: str, prompt: str, **fields: Any) -> str:
    status, job = call(house, who, "POST", "/api/jobs", json={"prompt": prompt, **fields})
    assert status == 202, job
    return str(job["id"])


def line(house: House) -> list[str]:
    return [job["request"]["prompt"] for job in call(house, "ann", "GET", "/api/jobs?order=line")[1]["items"]]


def test_each_caller_steers_its_own_jobs_and_an_admin_everybodys(house: House) -> None:
    ann = [submit(house, "ann", f"ann {number}") for number in range(3)]
    bob = [submit(house, "bob", f"bob {number}") for number in range(2)]
    assert line(house) == ["ann 0", "bob 0", "ann 1", "bob 1", "ann 2"]
    status, moved = call(house, "ann", "POST", f"/api/jobs/{ann[2]}/move", json={"to": "front"})
    assert (status, moved["position"]) == (200, 1)
    assert line(house) == ["ann 2", "bob 0", "ann 0", "bob 1", "ann 1"]
    for path, body, method in (
        (f"/api/jobs/{bob[1]}/move", {"to": "up"}, "POST"),
        (f"/api/jobs/{bob[1]}", {"priority": -1}, "PATCH"),
        (f"/api/jobs/{ann[0]}", {"priority": 1}, "PATCH"),  # before everybody's: for admins
        ("/api/jobs", {"prompt": "x", "priority": 1}, "POST"),
    ):
        status, told = call(house, "ann", method, path, json=body)
        assert (status, told["code"]) == (403, "not_allowed"), path
    assert call(house, "ann", "PATCH", f"/api/jobs/{ann[0]}", json={"priority": -1})[1]["priority"] == -1
    assert call(house, "boss", "PATCH", f"/api/jobs/{bob[1]}", json={"priority": 3})[1]["position"] == 1
    submit(house, "boss", "boss 0", priority=4)
    assert line(house) == ["boss 0", "bob 1", "ann 2", "bob 0", "ann 1", "ann 0"]
    assert call(house, "bob", "GET", "/api/jobs?q=ANN%201")[1]["items"][0]["id"] == ann[1]

    for whose in ("cancel", "clear"):
        status, told = call(house, "ann", "POST", f"/api/queue/{whose}?whose=everybody")
        assert (status, told["code"]) == (403, "not_allowed")
    assert call(house, "ann", "POST", "/api/queue/cancel") == (200, {"cancelled": 3})
    assert line(house) == ["boss 0", "bob 1", "bob 0"]
    status, told = call(house, "ann", "POST", f"/api/jobs/{ann[0]}/move", json={"to": "up"})
    assert (status, told["code"]) == (409, "not_queued")
    assert call(house, "ann", "POST", "/api/queue/clear") == (200, {"cleared": 3})
    shown = call(house, "ann", "GET", "/api/jobs")[1]["items"]
    assert {job["request"]["prompt"] for job in shown} == {"boss 0", "bob 0", "bob 1"}
    assert len(call(house, "ann", "GET", "/api/jobs?cleared=true")[1]["items"]) == 6
    assert call(house, "boss", "POST", "/api/queue/cancel?whose=everybody") == (200, {"cancelled": 3})


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "allowed"),
    [
        ("POST", "/api/jobs", {"prompt": "x", "priority": 11}, "priority", "allowed is -10 to 10"),
        ("POST", "/api/jobs", {"prompt": "x", "priority": "1"}, "priority", "a valid integer"),
        ("PATCH", "/api/jobs/{}", {"priority": -11}, "priority", "allowed is -10 to 10"),
        ("PATCH", "/api/jobs/{}", {}, "priority", "it is required"),
        ("POST", "/api/jobs/{}/move", {"to": "back"}, "to", "'front', 'up' or 'down'"),
        ("POST", "/api/queue/cancel?whose=nobody", None, "whose", "'mine' or 'everybody'"),
        ("GET", "/api/jobs?order=line&state=queued", None, "state", "none together with order=line"),
    ],
)
def test_what_is_no_order_is_refused_by_name(
    house: House, method: str, path: str, body: Any, field: str, allowed: str
) -> None:
    path = path.format(submit(house, "boss", "x"))
    status, told = call(house, "boss", method, path, **({} if body is None else {"json": body}))
    assert status == 422
    assert told["errors"][0]["field"] == field
    assert allowed in told["errors"][0]["allowed"]
