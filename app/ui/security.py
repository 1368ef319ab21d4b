"""Who may call the page: only its own host names, only pages of its own origin, only the addresses there are, and only
after login if there is one.

Plain ASGI, in front of everything Gradio serves. Without the host check a foreign page could reach this one by DNS
rebinding; without the origin check it could upload by a form; without the list of addresses it could let Gradio fetch
a script of its own and run it as this page.
"""

import ipaddress
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.settings import LOOPBACK_HOSTS, Settings
from app.ui.addresses import HEALTH_PATH, ICONS, LOGIN_PATH, MANIFEST_PATH, Address, AddressBook
from app.ui.roles import CURRENT_ROLE, Role
from app.ui.visitors import PERSON

SESSION_COOKIE = "atelier_session"
SESSION_S = 14 * 86_400.0
NOT_FOUND = 404
MAX_SESSIONS = 1000
# A browser asks for the manifest and the icons of an app without saying who it is for.
OPEN_PATHS = (LOGIN_PATH, HEALTH_PATH, MANIFEST_PATH, *(path for path, _ in ICONS.values()))
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 (names to recognise, not to bind)
HEARSAY = (b"x-forwarded-", b"forwarded", b"x-gradio-server")
FOREIGN = ("cross-site", "same-site")
ALL_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
# Gradio's page compiles its templates in the browser and holds scripts in its text, so these cannot be forbidden.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "manifest-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
# For whoever opens anything else as a page: no origin, no script, nothing loaded.
FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
LOGIN_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
POLICIES = {"/": PAGE_POLICY, LOGIN_PATH: LOGIN_POLICY}


def host_names(settings: Settings) -> frozenset[str]:
    """The names under which this page may be called, besides plain addresses when it is open to other machines."""
    own = {settings.ui_host} if settings.ui_host not in EVERYWHERE else set()
    return frozenset({*LOOPBACK_HOSTS, *own, *(name.lower() for name in settings.trusted_hosts)})


def binds_beyond_loopback(settings: Settings) -> bool:
    """True if other machines can reach the page."""
    return settings.ui_host not in LOOPBACK_HOSTS


class Doorkeeper:
    """Refuses foreign hosts (400), foreign origins (403), addresses that are not listed (404, 405) and bodies of more
    than an address takes (411, 413); and adds the headers that keep a page to itself."""

    def __init__(
        self,
        app: ASGIApp,
        names: Iterable[str],
        open_to_others: bool,
        addresses: Iterable[Address],
        lost: Callable[[Request], str] | None = None,
    ) -> None:
        """`open_to_others`: this machine's own name is fine too, whatever it is at the moment, and so is any numeric
        host; DNS rebinding needs a name of its own. `lost` writes the page for a person who opens an address that is
        none; without it they get a line of text."""
        self._lost = lost
        self._app = app
        self._names = frozenset(names)
        self._open_to_others = open_to_others
        self._book = AddressBook(addresses)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            # The server has taken from these what it believes; Gradio would believe the rest.
            kept = [(name, value) for name, value in scope["headers"] if not name.startswith(HEARSAY)]
            await self._app({**scope, "headers": kept}, receive, _with_headers(send, scope["path"]))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif refusal[0] == NOT_FOUND and self._lost is not None and _is_a_person(scope):
            page = HTMLResponse(self._lost(Request(scope)), NOT_FOUND)
            await page(scope, receive, _with_headers(send, LOGIN_PATH))
        else:
            refuse = PlainTextResponse(refusal[1], refusal[0])
            await refuse(scope, receive, _with_headers(send, scope["path"]))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._knows(host):
            return 400, "Unknown host name. The owner can add it with ATELIER_TRUSTED_HOSTS."
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "Calls from other web pages are not allowed."
        # The page has no websocket, so none has a method that fits.
        status, address = self._book.find(scope["path"], scope.get("method", "websocket"))
        if headers.get("sec-fetch-site") in FOREIGN and not (address and address.linked and _opens_a_page(headers)):
            return 403, "Calls from other web pages are not allowed."
        if address is None:
            return status, "There is nothing here."
        return _body_refusal(headers, address.max_body)

    def _knows(self, host: str) -> bool:
        name = _host_name(host)
        return name in self._names or (self._open_to_others and (_is_address(name) or _is_this_machine(name)))


class Sessions:
    """Who is logged in: random tokens in memory, at most 1000, for 14 days. A restart of the page ends them."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def open(self, name: str) -> str:
        """A new token for this person."""
        token = secrets.token_urlsafe(32)
        self._until[token] = (name, self._now() + SESSION_S)
        while len(self._until) > MAX_SESSIONS:
            self._until.popitem(last=False)
        return token

    def name(self, token: str | None) -> str | None:
        """Whose token it is, or None."""
        name, until = self._until.get(token or "", ("", 0.0))
        return name if name and self._now() < until else None

    def close(self, token: str | None) -> None:
        """Log out."""
        self._until.pop(token or "", None)


class LoginGate:
    """Lets nobody past without a session: a page is sent to the login, any other call gets 401.

    What it lets pass knows the person (`scope[PERSON]`) and acts in their role (`CURRENT_ROLE`).
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, role_of: Callable[[str], Role | None]) -> None:
        self._app = app
        self._sessions = sessions
        self._role_of = role_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        request = Request({**scope, "type": "http", "method": scope.get("method", "GET")})
        person = self._sessions.name(request.cookies.get(SESSION_COOKIE))
        role = None if person is None else self._role_of(person)
        if role is not None:
            CURRENT_ROLE.set(role)
            await self._app({**scope, PERSON: person}, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif "text/html" in request.headers.get("accept", "") and request.method == "GET":
            asked = f"?{request.url.query}" if request.url.path == "/" and request.url.query else ""
            await RedirectResponse(LOGIN_PATH + asked, 303)(scope, receive, send)
        else:
            await PlainTextResponse("Log in first.", 401)(scope, receive, send)


def _is_a_person(scope: Scope) -> bool:
    return scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", "")


def _opens_a_page(headers: Headers) -> bool:
    """A link was followed: the browser opens a page in a window, and not in a frame of the page that it left."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"


def _body_refusal(headers: Headers, max_body: int) -> tuple[int, str] | None:
    """The server reads no more than the length that was promised, so the promise is what counts."""
    if "transfer-encoding" in headers:
        return 411, "Say how long the body is (Content-Length)."
    promised = headers.get("content-length", "0")
    if not (promised.isascii() and promised.isdigit() and len(promised) < 16):
        return 400, "The Content-Length is not a number."
    if int(promised) > max_body:
        return 413, f"At most {max_body} bytes can be sent here."
    return None


def _with_headers(send: Send, path: str) -> Send:
    wanted: Mapping[str, str] = ALL_HEADERS | {"content-security-policy": POLICIES.get(path, FILE_POLICY)}

    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in wanted.items():
                headers[name] = value
        await send(message)

    return sender


def _host_name(host: str) -> str:
    """The name without the port, in lower case: `localhost`, `::1`."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_this_machine(name: str) -> bool:
    """Asked each time: a machine is renamed, or moves to another network, while the page goes on."""
    return name == socket.gethostname().lower()
