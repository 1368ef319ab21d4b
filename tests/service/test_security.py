"""Host names, foreign web pages, API keys, protecting headers, and paths that try to leave the library."""

import base64
import hashlib
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from app.core.settings import Settings
from app.service.http.key_ring import KeyRing
from app.service.http.keys import ApiKey, ApiKeys, Scope
from app.service.http.security import trusted_hosts
from tests.service.conftest import House

EVERY_PATH = (
    "/health",
    "/ready",
    "/api/status",
    "/api/jobs",
    "/api/models",
    "/docs",
    "/openapi.json",
    "/metrics",
    "/no",
)


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5001", "127.0.0.1.evil.example", "a b", "[::2]", "10.0.0.1"]
)
def test_a_foreign_host_name_is_refused_everywhere(house: House, path: str, host: str) -> None:
    answer = house.client.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert house.client.post("/api/jobs", json={"prompt": "x"}, headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:5001", "localhost", "LOCALHOST:9", "[::1]:5001", "studio.lan"])
def test_the_names_of_this_machine_and_the_owners_own_are_trusted(house: House, host: str) -> None:
    assert house.client.get("/health", headers={"Host": host}).status_code == 200


def test_behind_the_any_address_the_machines_own_addresses_are_trusted(make_settings: Callable[..., Settings]) -> None:
    names = trusted_hosts(make_settings(host="0.0.0.0"))
    assert {"127.0.0.1", "localhost"} < set(names)
    assert socket.gethostname().lower() in names
    assert "0.0.0.0" not in names
    assert "192.168.7.8" in trusted_hosts(make_settings(host="192.168.7.8"))


SAME = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        (SAME, True),
        ({"Origin": "http://localhost"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://localhost:7860"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://[broken"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
        ({"Origin": "https://localhost:443"}, False),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_foreign_web_page_can_change_nothing(
    house: House, method: str, headers: dict[str, str], allowed: bool
) -> None:
    path = {"POST": "/api/queue/resume", "PATCH": "/api/images/no", "DELETE": "/api/images/no"}[method]
    answer = house.client.open(path, method=method, json={"favourite": True}, headers=headers)
    assert (answer.status_code != 403) is allowed
    form = house.client.post("/api/inspect", data={"file": "x"}, content_type="multipart/form-data", headers=headers)
    assert (form.status_code == 415) is allowed


def test_a_foreign_web_page_can_look_but_not_hold_a_stream(house: House) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    job = house.finished(house.submit()["id"])
    assert house.client.get("/health", headers=foreign).status_code == 200
    assert house.client.get(f"/api/jobs/{job['id']}/events", headers=foreign).status_code == 403
    assert "Access-Control-Allow-Origin" not in house.client.get("/health", headers={"Origin": "http://x"}).headers


def test_a_page_of_a_listed_origin_may_call(make_house: Callable[..., House]) -> None:
    house = make_house(cors_origins=("https://studio.example",))
    theirs = {"Origin": "https://studio.example", "Sec-Fetch-Site": "cross-site"}
    answer = house.client.post("/api/jobs", json={"prompt": "x"}, headers=theirs)
    assert answer.status_code == 202
    assert answer.headers["Access-Control-Allow-Origin"] == "https://studio.example"
    assert house.client.get("/health", headers=theirs).headers["Access-Control-Allow-Origin"] == theirs["Origin"]
    asked = theirs | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    preflight = house.client.options("/api/jobs", headers=asked)
    assert preflight.status_code == 200  # a browser sends it without a body and without a type
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://studio.example"
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET, POST, PATCH, DELETE"
    assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]
    assert preflight.headers["Vary"] == "Origin"
    other = house.client.post(
        "/api/jobs", json={"prompt": "x"}, headers=theirs | {"Origin": "https://studio.example.evil"}
    )
    assert other.status_code == 403
    for origin in ("https://studio.example.evil", "https://evil.example", "null", "http://studio.example", ""):
        for answer in (
            house.client.get("/health", headers={"Origin": origin}),
            house.client.options("/api/jobs", headers={"Origin": origin}),
        ):
            assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118
            assert answer.headers["Vary"] == "Origin"


@pytest.fixture(scope="module")
def house(make_house: Callable[..., House]) -> House:
    """Also known as studio.lan."""
    return make_house(trusted_hosts=("Studio.lan",))


@pytest.fixture(scope="module")
def locked(make_house: Callable[..., House]) -> House:
    """A house with one key for each scope: the scope's own name."""
    keys = tuple(ApiKey(scope, hashlib.sha256(scope.encode()).digest()) for scope in Scope)
    return make_house(keys=KeyRing(ApiKeys(keys)))


def test_the_key_may_come_as_the_password_of_http_basic(locked: House) -> None:
    for password, status in (("generate", 202), ("wrong", 401)):
        basic = "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()
        answer = locked.client.post("/api/jobs", json={"prompt": "x"}, headers={"Authorization": basic})
        assert answer.status_code == status


def test_alive_ready_and_the_api_page_need_no_key(locked: House) -> None:
    for path in ("/health", "/ready", "/docs", "/docs/ui.css", "/openapi.json"):
        with locked.client.get(path) as answer:
            assert answer.status_code == 200, path


def test_every_answer_carries_the_protecting_headers(house: House) -> None:
    image = house.image()
    for path in ("/health", "/docs", "/api/jobs/nobody", image["url"]):
        headers = house.client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"
        assert path == image["url"] or headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert headers["Cache-Control"] == "private, max-age=31536000, immutable"


def traversals(canary: Path) -> list[str]:
    """Names that reached files outside in other programs."""
    steps = ["../", "..\\", "....//", "..;/", "%2e%2e/", "%2e%2e%2f", "..%2f", "..%5c", "%252e%252e%252f", "..%c0%af"]
    deep = [step * 3 + target for step in steps for target in (canary.name, "etc/passwd", "data/atelier.db")]
    odd = [
        str(canary),
        "/etc/passwd",
        "//etc/passwd",
        "file:///etc/passwd",
        "\\\\host\\share",
        "C:\\boot.ini",
        "CON",
        "NUL",
    ]
    more = ["canary\0.png", ".", "..", "~root", "．．／canary", "canary.png/", "x" * 5000, "'; drop table images;--"]
    return [*deep, *odd, *more]


def test_no_name_on_the_wire_reaches_a_file_outside(house: House) -> None:
    folder = house.service.parts.settings.output_folder
    house.image()
    secret = "the canary sings"
    canary = folder.parent / "canary.txt"
    canary.write_text(secret)
    (folder / "canary.txt").write_text(secret)
    looks = ("/images/{}.png", "/images/{}/thumbnail.webp", "/api/images/{}", "/api/jobs/{}", "/docs/{}", "/{}")
    looks = (*looks, "/api/jobs/{}/events", "/api/models/{}", "/api/images?cursor={}", "/api/images?q={}")
    acts = (("DELETE", "/api/images/{}"), ("POST", "/api/models/{}/load"), ("POST", "/api/jobs/{}/cancel"))
    for name in traversals(canary):
        for method, path in (*(("GET", look) for look in looks), *acts):
            for text in {name, quote(name, safe="")}:
                answer = house.client.open(path.format(text), method=method)
                assert answer.status_code < 500, (path, text)
                assert secret not in answer.text
                assert "root:" not in answer.text
    assert canary.read_text() == (folder / "canary.txt").read_text() == secret
