"""A hub of the internet cannot send this machine to its neighbours."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import huggingface_hub.constants as hub_constants
import pytest
from huggingface_hub import get_session
from huggingface_hub.utils import close_session

from app.core.errors import ModelRefused
from app.hub.child import Wanted
from app.hub.disk import storage_folder
from app.hub.download_plan import PLAN_FILE
from app.hub.fetch import fetch
from app.hub.reach import guard_redirects, refuse_private
from tests import hub_server
from tests.hub.conftest import assert_same_files
from tests.hub_server import Hub

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "2130706433",
    "0x7f.1", "localhost", "[::1]", "[::ffff:10.0.0.1]", "[fe80::1]", "[fd00::1]",
]  # fmt: skip


class Neighbour(ThreadingHTTPServer):
    """Another program of this machine, which notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Asked)


class _Asked(BaseHTTPRequestHandler):
    server: Neighbour

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_error(404)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    with Neighbour() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


@pytest.fixture
def far_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The stand-in as a hub that is not of this network: only a proxy knows its name."""
    url = "http://hub.invalid"
    monkeypatch.setattr(hub_constants, "ENDPOINT", url)
    monkeypatch.setattr(hub_constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, hub.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    close_session()  # the next one is made with these proxies
    yield hub
    close_session()


def send_to(monkeypatch: pytest.MonkeyPatch, word: str, place: str) -> None:
    """The hub redirects what has this word in its address."""
    true_answer = hub_server.answer

    def answer(request: BaseHTTPRequestHandler, served: Hub) -> None:
        if word in request.path:
            hub_server._reply(request, served, b"", 302, {"Location": place})
        else:
            true_answer(request, served)

    monkeypatch.setattr(hub_server, "answer", answer)


@pytest.mark.parametrize("word", ["/resolve/", "/api/models/"])
def test_a_redirect_to_a_neighbour_is_not_followed(
    far_hub: Hub, neighbour: Neighbour, wanted: Wanted, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    send_to(monkeypatch, word, f"http://127.0.0.1:{neighbour.server_port}/secret")
    with pytest.raises(ModelRefused, match=r"sent this machine to 127\.0\.0\.1"):
        fetch(wanted)
    assert neighbour.asked == []
    left = [file for file in storage_folder(wanted.repository).rglob("*") if file.is_file() and file.name != PLAN_FILE]
    assert all(file.stat().st_size == 0 for file in left)


def test_a_name_that_leads_to_a_neighbour_once_it_was_looked_up_is_sent_nothing(
    neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_constants, "ENDPOINT", "https://hub.invalid")
    addresses, true_lookup = iter(["8.8.8.8", "127.0.0.1", "127.0.0.1"]), socket.getaddrinfo

    def look_up(host: str, *more: Any, **named: Any) -> Any:
        return true_lookup(next(addresses) if host == "rebound.test" else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setenv("NO_PROXY", "*")
    close_session()
    guard_redirects()
    with pytest.raises(ModelRefused, match=r"sent this machine to rebound\.test"):
        get_session().get(f"http://rebound.test:{neighbour.server_port}/secret", timeout=20)
    close_session()
    assert neighbour.asked == []


def test_a_public_hub_is_still_read(far_hub: Hub, wanted: Wanted) -> None:
    assert_same_files(fetch(wanted), far_hub.folder)


@pytest.mark.parametrize("host", PRIVATE)
def test_no_address_of_this_network_is_asked_for_a_public_hub(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr(hub_constants, "ENDPOINT", "https://hub.invalid")
    with pytest.raises(ModelRefused):
        refuse_private(httpx2.Request("GET", f"https://{host}:8443/x"))


@pytest.mark.parametrize("host", ["hub.invalid", "other.invalid", "8.8.8.8", "[2606:4700::1111]"])
def test_public_addresses_and_names_that_only_a_proxy_knows_are_asked(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(hub_constants, "ENDPOINT", "https://hub.invalid")
    refuse_private(httpx2.Request("GET", f"https://{host}/x"))


def test_an_owners_own_hub_may_name_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_constants, "ENDPOINT", "http://127.0.0.1:8080")
    refuse_private(httpx2.Request("GET", "http://10.0.0.7/file"))
