"""The doorkeeper and the login gate, asked directly: each header, each address, each kind of call."""

import socket
from typing import Any

import pytest

from app.core.settings import Settings
from app.ui.addresses import ADDRESSES, EVENTS_PATH, MAX_JSON_BYTES, TOOL_ADDRESSES, AddressBook
from app.ui.ports import PortTaken, refuse_taken_port
from app.ui.roles import CURRENT_ROLE, Role
from app.ui.security import (
    ALL_HEADERS,
    FILE_POLICY,
    LOGIN_POLICY,
    PAGE_POLICY,
    Doorkeeper,
    LoginGate,
    Sessions,
    binds_beyond_loopback,
    host_names,
)
from app.ui.visitors import PERSON
from tests.loops import run_apart

OWN = "127.0.0.1:7860"
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


class Inside:
    """What lies behind the gate: it remembers who came, and answers."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.roles: list[Role] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        self.roles.append(CURRENT_ROLE.get())
        if scope["type"] == "http":
            headers = [(b"content-security-policy", b"default-src *"), (b"x-frame-options", b"ALLOWALL")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"inside"})


def call(
    app: Any, path: str = "/", method: str = "GET", kind: str = "http", query: str = "", **headers: str
) -> dict[str, Any]:
    """The first thing that comes back, its headers by name. `_` in a name stands for `-`."""
    named = {"host": OWN} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": kind, "path": path, "method": method, "query_string": query.encode(), "scheme": "http",
        "server": ("x", 1), "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
    }  # fmt: skip
    if kind == "websocket":
        del scope["method"]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.disconnect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    run_apart(app(scope, receive, send))
    if not sent:
        return {"type": "nothing", "status": 0, "headers": {}}
    told = {name.decode(): value.decode() for name, value in sent[0].get("headers", ())}
    return sent[0] | {"headers": told}


@pytest.fixture
def inside() -> Inside:
    """Behind the gate."""
    return Inside()


def door(inside: Any, *, others: bool = False, names: tuple[str, ...] = ("127.0.0.1", "studio.lan")) -> Doorkeeper:
    """The page's own doorkeeper in front of it."""
    return Doorkeeper(inside, names=names, open_to_others=others, addresses=ADDRESSES, lost=lambda _: "<h1>lost</h1>")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (OWN, 200), ("studio.lan", 200), ("STUDIO.LAN:80", 200),
        (" studio.lan ", 200), ("", 400), ("evil.example", 400),
        ("studio.lan.evil.example", 400), ("evil.example:127.0.0.1", 400), ("10.0.0.9", 400), ("[::1]:7860", 400),
        ("localhost@evil.example", 400),
    ],
)  # fmt: skip
def test_only_its_own_host_names_pass(inside: Inside, host: str, status: int) -> None:
    assert call(door(inside), host=host)["status"] == status
    assert len(inside.scopes) == (status == 200)


@pytest.mark.parametrize(
    ("host", "status"), [("10.0.0.9:7860", 200), ("[fe80::1]:7860", 200), ("evil.example", 400), ("1.2.3", 400)]
)
def test_a_page_that_is_open_to_others_answers_under_any_number_of_this_network(
    inside: Inside, host: str, status: int
) -> None:
    assert call(door(inside, others=True), host=host)["status"] == status


def test_a_machine_that_is_renamed_keeps_its_page(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    page = door(inside, others=True)
    monkeypatch.setattr(socket, "gethostname", lambda: "Attic")
    assert call(page, host="attic:7860")["status"] == 200
    assert call(door(inside), host="attic:7860")["status"] == 400
    monkeypatch.setattr(socket, "gethostname", lambda: "cellar")
    assert call(page, host="attic:7860")["status"] == 400


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (f"http://{OWN}", 200), (f"https://{OWN}", 200), ("http://127.0.0.1:7861", 403), ("null", 403), ("", 403),
        ("http://evil.example", 403), (f"http://{OWN}.evil.example", 403), (OWN, 403),
    ],
)  # fmt: skip
def test_a_caller_says_the_pages_own_origin_or_none(inside: Inside, origin: str, status: int) -> None:
    assert call(door(inside), origin=origin)["status"] == status


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/", "/login", "/theme.css", "/atelier/health", "/assets/x.js", "/nowhere"])
def test_a_link_on_another_page_opens_the_start_and_the_login_only(inside: Inside, site: str, path: str) -> None:
    page, linked = door(inside), path in ("/", "/login")
    sent = {name.replace("-", "_"): value for name, value in LINK.items()} | {"sec_fetch_site": site}
    assert call(page, path, **sent)["status"] == (200 if linked else 403)
    assert call(page, path, **sent | {"sec_fetch_dest": "iframe"})["status"] == 403
    assert call(page, path, **sent | {"sec_fetch_mode": "no-cors"})["status"] == 403
    assert call(page, path, sec_fetch_site=site)["status"] == 403
    assert call(page, path, "POST", **sent)["status"] == 403
    del sent["sec_fetch_dest"]  # an older browser
    assert call(page, path, **sent)["status"] == (200 if linked else 403)


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_page_itself_and_a_typed_address_pass(inside: Inside, site: str) -> None:
    for path in ("/", "/theme.css", "/atelier/health"):
        assert call(door(inside), path, sec_fetch_site=site)["status"] == 200


@pytest.mark.parametrize("headers", [{}, {"host": "evil.example"}, {"origin": "http://evil.example"}])
def test_no_websocket_passes(inside: Inside, headers: dict[str, str]) -> None:
    for path in ("/", "/login", EVENTS_PATH, "/gradio_api/queue/join"):
        assert call(door(inside), path, kind="websocket", **headers) == {
            "type": "websocket.close", "code": 1008, "headers": {},
        }  # fmt: skip
    assert inside.scopes == []


def test_the_start_and_end_of_the_page_pass(inside: Inside) -> None:
    call(door(inside), kind="lifespan")
    call(LoginGate(inside, Sessions(), lambda _name: None), kind="lifespan")
    assert [scope["type"] for scope in inside.scopes] == ["lifespan", "lifespan"]


@pytest.mark.parametrize(
    ("path", "policy"),
    [("/", PAGE_POLICY), ("/login", LOGIN_POLICY), ("/theme.css", FILE_POLICY), ("/nowhere", FILE_POLICY)],
)
def test_every_answer_says_what_it_may_do_whatever_it_said_itself(inside: Inside, path: str, policy: str) -> None:
    told = call(door(inside), path)["headers"]
    assert told["content-security-policy"] == policy
    assert {name: told[name] for name in ALL_HEADERS} == ALL_HEADERS
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_length": str(MAX_JSON_BYTES)}, 200), ({"content_length": str(MAX_JSON_BYTES + 1)}, 413),
        ({}, 200), ({"transfer_encoding": "chunked"}, 411), ({"content_length": "-1"}, 400),
        ({"content_length": "1e3"}, 400), ({"content_length": "9" * 20}, 400), ({"content_length": "²"}, 400),
    ],
)  # fmt: skip
def test_a_body_is_as_long_as_was_promised_and_not_too_long(
    inside: Inside, headers: dict[str, Any], status: int
) -> None:
    assert call(door(inside), EVENTS_PATH, "POST", **headers)["status"] == status


def test_what_a_caller_says_about_other_hosts_is_not_handed_on(inside: Inside) -> None:
    call(
        door(inside), x_forwarded_host="evil.example", forwarded="host=evil", x_gradio_server="http://evil", accept="a"
    )
    assert sorted(name for name, _ in inside.scopes[0]["headers"]) == [b"accept", b"host"]


@pytest.mark.parametrize(
    "path",
    ["//", "/../", "/./", "/assets/../config", "/assets/", "/assets/.env", "/assets/a/b.js", "/assets/%2e%2e", "/LOGIN",
     "/login/", "/config", "/atelier/picture/../x.png", "/atelier/picture/x.png/", "/atelier/picture/.png", "/\n",
     "/theme.css\n", "/gradio_api/run/predict/", "/gradio_api/run/other", "/static/js/x.js", "/gradio_api/mcp"],
)  # fmt: skip
def test_an_address_that_is_not_listed_word_for_word_is_not_there(inside: Inside, path: str) -> None:
    assert call(door(inside), path)["status"] == 404
    assert inside.scopes == []


def test_the_tools_have_addresses_only_where_they_are_offered() -> None:
    assert AddressBook(ADDRESSES).find("/gradio_api/mcp/", "POST") == (404, None)
    assert AddressBook((*ADDRESSES, *TOOL_ADDRESSES)).find("/gradio_api/mcp/", "POST") == (200, TOOL_ADDRESSES[0])
    assert AddressBook((*ADDRESSES, *TOOL_ADDRESSES)).find("/gradio_api/mcp/../x", "POST") == (404, None)


def test_a_person_at_an_address_that_is_none_gets_a_page_and_a_program_a_line(inside: Inside) -> None:
    person = call(door(inside), "/nonsense", accept="text/html,*/*")
    assert (person["status"], person["headers"]["content-type"]) == (404, "text/html; charset=utf-8")
    assert person["headers"]["content-security-policy"] == LOGIN_POLICY
    for program in (call(door(inside), "/nonsense"), call(door(inside), "/nonsense", "POST", accept="text/html")):
        assert (program["status"], program["headers"]["content-type"]) == (404, "text/plain; charset=utf-8")
    assert inside.scopes == []


def test_no_linked_address_takes_anything() -> None:
    for address in (*ADDRESSES, *TOOL_ADDRESSES):
        assert not address.linked or (set(address.methods) <= {"GET", "HEAD"} and address.max_body == 0)


@pytest.mark.parametrize(
    ("host", "beyond", "named"),
    [("127.0.0.1", False, "127.0.0.1"), ("localhost", False, "localhost"), ("0.0.0.0", True, None),
     ("192.0.2.7", True, "192.0.2.7"), ("::", True, None)],
)  # fmt: skip
def test_the_names_of_a_page_follow_from_where_it_listens(host: str, beyond: bool, named: str | None) -> None:
    settings = Settings(ui_host=host, trusted_hosts=("Studio.LAN",))
    assert binds_beyond_loopback(settings) is beyond
    names = host_names(settings)
    assert {"127.0.0.1", "localhost", "studio.lan"} <= names
    assert named is None or named in names
    assert "0.0.0.0" not in names


@pytest.fixture
def sessions() -> Sessions:
    """Nobody yet."""
    return Sessions()


@pytest.fixture
def gate(inside: Inside, sessions: Sessions) -> LoginGate:
    """It knows ada."""
    return LoginGate(inside, sessions, {"ada": Role.GENERATE}.get)


def test_who_has_a_session_passes_with_name_and_role(gate: LoginGate, inside: Inside, sessions: Sessions) -> None:
    answer = call(gate, cookie=f"atelier_session={sessions.open('ada')}")
    assert answer["status"] == 200
    assert inside.scopes[0][PERSON] == "ada"
    assert inside.roles == [Role.GENERATE]


def test_who_has_left_the_login_file_does_not_pass(gate: LoginGate, sessions: Sessions) -> None:
    assert call(gate, cookie=f"atelier_session={sessions.open('bob')}")["status"] == 401


@pytest.mark.parametrize("path", ["/", "/theme.css", EVENTS_PATH, "/login/x", "/atelier/healthy"])
@pytest.mark.parametrize("cookie", ["", "atelier_session=", "atelier_session=guessed", "other=x"])
def test_nobody_without_a_session_passes(gate: LoginGate, inside: Inside, path: str, cookie: str) -> None:
    assert call(gate, path, cookie=cookie)["status"] == 401
    assert call(gate, path, "POST", cookie=cookie, accept="text/html")["status"] == 401
    shown = call(gate, path, cookie=cookie, accept="text/html")
    assert (shown["status"], shown["headers"]["location"]) == (303, "/login")
    assert call(gate, path, kind="websocket", cookie=cookie)["type"] == "websocket.close"
    assert inside.scopes == []


def test_a_link_to_the_page_is_kept_while_somebody_logs_in(gate: LoginGate) -> None:
    sent = call(gate, query="prompt=a%20cup&job=1", accept="text/html")
    assert sent["headers"]["location"] == "/login?prompt=a%20cup&job=1"
    assert call(gate, "/theme.css", query="prompt=a", accept="text/html")["headers"]["location"] == "/login"


def test_a_taken_port_is_said_in_words() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} of 127.0.0.1: choose another with --port"):
            refuse_taken_port("127.0.0.1", port)
    refuse_taken_port("127.0.0.1", 0)


def test_a_websocket_with_a_session_passes(gate: LoginGate, inside: Inside, sessions: Sessions) -> None:
    call(gate, kind="websocket", cookie=f"atelier_session={sessions.open('ada')}")
    assert [scope["type"] for scope in inside.scopes] == ["websocket"]


@pytest.mark.parametrize("path", ["/login", "/atelier/health"])
def test_the_login_and_the_sign_of_life_are_open(gate: LoginGate, inside: Inside, path: str) -> None:
    assert call(gate, path)["status"] == 200
    assert PERSON not in inside.scopes[0]
    assert inside.roles == [Role.READ]
