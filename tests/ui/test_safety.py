"""What the page refuses, over plain HTTP: foreign hosts, foreign pages, foreign files, visitors without a login."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from app.client import ImageServiceClient
from app.ui.accounts import add_user
from app.ui.addresses import EVENTS_PATH, MAX_JSON_BYTES, MAX_UPLOAD_BYTES, UPLOAD_PATH
from tests.running import ROOT, RunningPage, RunningService


@pytest.fixture(scope="module")
def http() -> requests.Session:
    """Calls without any proxy of this machine."""
    session = requests.Session()
    session.trust_env = False
    return session


def test_a_foreign_host_name_is_refused_on_every_address(http: requests.Session, page_process: RunningPage) -> None:
    for path in ("/", "/config", "/gradio_api/info", "/atelier/health", "/theme.css"):
        answer = http.get(page_process.url + path, headers={"Host": "evil.example"})
        assert answer.status_code == 400, path


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", [UPLOAD_PATH, EVENTS_PATH, "/login", "/gradio_api/upload"])
def test_a_foreign_page_can_neither_upload_nor_call(
    http: requests.Session, page_process: RunningPage, headers: dict[str, str], path: str
) -> None:
    answer = http.post(page_process.url + path, headers=headers, files={"files": ("a.html", b"<script>")})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_link_from_elsewhere_may_open_the_page(http: requests.Session, page_process: RunningPage) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = http.get(page_process.url + "/", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "http://127.0.0.1:1/",
        str(ROOT / "pyproject.toml"),
        str(ROOT / "models" / "catalog.toml"),
    ],
)
def test_no_file_of_this_machine_is_served(http: requests.Session, page_process: RunningPage, path: str) -> None:
    for address in (f"/gradio_api/file={path}", f"/file={path}", f"/atelier/picture/{path}.png"):
        answer = http.get(page_process.url + address)
        assert answer.status_code in (403, 404), address
        assert b"root:" not in answer.content


def test_pictures_come_as_saved_and_thumbnails_as_webp(
    http: requests.Session, page_process: RunningPage, client: ImageServiceClient
) -> None:
    image = client.generate({"prompt": "bytes"}).images[0]
    full = http.get(f"{page_process.url}/atelier/picture/{image.id}.png?download=1")
    assert full.content == client.image_bytes(image.id)
    assert full.headers["content-disposition"].startswith("attachment")
    assert full.headers["x-content-type-options"] == "nosniff"
    small = http.get(f"{page_process.url}/atelier/thumbnail/{image.id}.webp?w=256")
    assert Image.open(io.BytesIO(small.content)).format == "WEBP"
    assert http.get(f"{page_process.url}/atelier/thumbnail/{image.id}.webp?w=257").status_code == 404
    assert http.get(f"{page_process.url}/atelier/picture/no-such-picture.png").status_code == 404


def test_nothing_of_the_page_is_offered_as_an_api(http: requests.Session, page_process: RunningPage) -> None:
    for path in ("/docs", "/openapi.json", "/monitoring", "/config", "/gradio_api/info", "/gradio_api/mcp/"):
        assert http.get(page_process.url + path).status_code == 404, path


CLOSED_GETS = (
    "file=x", "file/x", "proxy=http://127.0.0.1:9/", "deep_link", "custom_component/1/client/component/index.js",
    "vibe-code", "dev/reload", "queue/data", "queue/status", "heartbeat/x", "startup-events", "token", "user",
    "login_check", "upload_progress?upload_id=x", "stream/a/b/1/playlist.m3u8", "runs", "openapi.json", "theme.css",
    "profiling/summary", "a-route-of-next-year",
)  # fmt: skip
CLOSED_POSTS = (
    "process_recording", "vibe-edit", "vibe-code", "undo-vibe-edit", "vibe-starter-queries", "cancel", "reset",
    "stream/x", "call/generate", "call/v2/generate", "run/generate", "api/predict", "queue/join", "upload",
    "component_server",
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path"), [*(("GET", path) for path in CLOSED_GETS), *(("POST", path) for path in CLOSED_POSTS)]
)
def test_a_route_of_gradio_that_the_page_does_not_use_is_closed(
    http: requests.Session, page_process: RunningPage, method: str, path: str
) -> None:
    answer = http.request(method, f"{page_process.url}/gradio_api/{path}")
    assert (answer.status_code, answer.text) == (404, "There is nothing here.")


def test_a_lost_person_is_led_to_the_page_in_their_language(http: requests.Session, page_process: RunningPage) -> None:
    asking = {"Accept": "text/html", "Accept-Language": "zh-CN"}
    answer = http.get(f"{page_process.url}/nonsense", headers=asking)
    assert answer.status_code == 404
    assert 'lang="zh-CN"' in answer.text
    assert 'href="/"' in answer.text


def test_only_the_methods_of_an_address_and_only_its_size_of_body_pass(
    http: requests.Session, page_process: RunningPage
) -> None:
    url = page_process.url
    for method, path in (("DELETE", "/"), ("POST", "/theme.css"), ("GET", EVENTS_PATH), ("OPTIONS", EVENTS_PATH)):
        assert http.request(method, url + path).status_code == 405, path
    assert http.post(url + EVENTS_PATH, data=b" " * (MAX_JSON_BYTES + 1)).status_code == 413
    promise = {"Content-Length": str(MAX_UPLOAD_BYTES + 1), "Connection": "close"}
    assert http.post(url + UPLOAD_PATH, headers=promise).status_code == 413
    assert http.post(url + EVENTS_PATH, data=iter([b"{", b"}"])).status_code == 411
    assert http.get(url + "/", data=b"x").status_code == 413


def test_deep_json_is_refused_and_the_page_goes_on(http: requests.Session, page_process: RunningPage) -> None:
    for body in (b"[" * 1_000_000, b'{"data":' + b"[" * 500_000 + b"]" * 500_000 + b',"fn_index":0}'):
        answer = http.post(page_process.url + EVENTS_PATH, data=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500
    assert http.get(page_process.url + "/atelier/health").status_code == 200


def test_whatever_is_opened_besides_the_page_has_no_rights(http: requests.Session, page_process: RunningPage) -> None:
    for path in ("/theme.css", "/atelier/health", "/gradio_api/file=x", "/atelier/picture/x.png", EVENTS_PATH):
        assert http.get(page_process.url + path).headers["content-security-policy"].startswith("sandbox;"), path
    assert "script" not in http.get(page_process.url + "/login").headers["content-security-policy"]


def test_beyond_loopback_it_refuses_to_start_without_a_login(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app.ui", "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=160, check=False)
    assert done.returncode == 1
    assert "--auth-file" in done.stderr


def test_with_a_login_file_nobody_passes_without_the_password(tmp_path: Path, service: RunningService) -> None:
    people = tmp_path / "people"
    add_user(people, "ada", "correct horse")
    assert people.stat().st_mode & 0o077 == 0
    with RunningPage(tmp_path / "page", service.url, "--auth-file", str(people)) as page:
        session = requests.Session()
        session.trust_env = False
        for path in ("/", "/theme.css", "/assets/x.js", "/atelier/picture/x.png"):
            assert session.get(page.url + path).status_code == 401, path
        assert session.post(page.url + UPLOAD_PATH, data=b"x").status_code == 401
        assert session.post(page.url + EVENTS_PATH, json={"data": []}).status_code == 401
        sent = session.get(page.url + "/", headers={"Accept": "text/html"})
        assert sent.url.endswith("/login")
        told = set()
        while "4" not in told:  # a pause that a busy machine does not sleep through
            wrong = session.post(page.url + "/login", data={"name": "ada", "password": "wrong"})
            assert wrong.status_code in (401, 429)
            told.add(wrong.headers.get("Retry-After"))
        hasty = session.post(page.url + "/login", data={"name": "ada", "password": "correct horse"})
        assert hasty.status_code == 429
        assert int(hasty.headers["Retry-After"]) >= 1


def test_the_right_password_opens_the_page_and_logout_closes_it(tmp_path: Path, service: RunningService) -> None:
    people = tmp_path / "people"
    add_user(people, "ada", "correct horse")
    with RunningPage(tmp_path / "page", service.url, "--auth-file", str(people)) as page:
        session = requests.Session()
        session.trust_env = False
        entered = session.post(page.url + "/login?prompt=a+cup", data={"name": "ada", "password": "correct horse"})
        assert (entered.status_code, entered.url) == (200, page.url + "/?prompt=a+cup")
        cookie = next(iter(session.cookies))
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert session.get(page.url + "/theme.css").status_code == 200
        session.post(page.url + "/logout")
        assert session.get(page.url + "/theme.css").status_code == 401


def test_the_page_loads_neither_torch_nor_flask_nor_the_services_rooms(page_inside: dict[str, Any]) -> None:
    assert page_inside["foreign"] == []
