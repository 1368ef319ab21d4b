"""Who may call the page: only its own host names, only pages of its own origin, and only after login if there is one.

Plain ASGI, in front of everything Gradio serves. Without the host check a foreign page could reach this one by DNS
rebinding; without the origin check it could upload by a form.
"""

import ipaddress
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.settings import LOOPBACK_HOSTS, Settings

SESSION_COOKIE = "atelier_session"
SESSION_S = 14 * 86_400.0
MAX_SESSIONS = 1000
LOGIN_PATH = "/login"
OPEN_PATHS = (LOGIN_PATH, "/atelier/health")
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 (names to recognise, not to bind)
FOREIGN = ("cross-site", "same-site")
PAGE_HEADERS = {
    # Gradio's page compiles its templates in the browser, so scripts cannot be forbidden; other places can.
    "content-security-policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def host_names(settings: Settings) -> frozenset[str]:
    """The names under which this page may be called, besides plain addresses when it is open to other machines."""
    own = {settings.ui_host} if settings.ui_host not in EVERYWHERE else set()
    machine = {socket.gethostname().lower()} if binds_beyond_loopback(settings) else set()
    return frozenset({*LOOPBACK_HOSTS, *own, *machine, *(name.lower() for name in settings.trusted_hosts)})


def binds_beyond_loopback(settings: Settings) -> bool:
    """True if other machines can reach the page."""
    return settings.ui_host not in LOOPBACK_HOSTS


class Doorkeeper:
    """Refuses foreign hosts (400) and foreign origins (403), and adds the headers that keep a page to itself."""

    def __init__(self, app: ASGIApp, names: Iterable[str], any_address: bool) -> None:
        """`any_address`: a numeric host is fine; DNS rebinding needs a name of its own."""
        self._app = app
        self._names = frozenset(names)
        self._any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(headers, scope.get("method", "GET"))
        if refusal is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse(refusal[1], refusal[0])(scope, receive, send)

    def _refusal(self, headers: Headers, method: str) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._knows(host):
            return 400, "Unknown host name. The owner can add it with ATELIER_TRUSTED_HOSTS."
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "Calls from other web pages are not allowed."
        # A link from elsewhere may open the page; anything else from elsewhere may not even look.
        opens = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") in FOREIGN and not opens:
            return 403, "Calls from other web pages are not allowed."
        return None

    def _knows(self, host: str) -> bool:
        name = _host_name(host)
        return name in self._names or (self._any_address and _is_address(name))


class Sessions:
    """Who is logged in: random tokens in memory, at most 1000, for 14 days. A restart of the page ends them."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def open(self, name: str) -> str:
        """A new token for this person."""
        token = secrets.token_urlsafe(32)
        self._until[token] = (name, time.monotonic() + SESSION_S)
        while len(self._until) > MAX_SESSIONS:
            self._until.popitem(last=False)
        return token

    def name(self, token: str | None) -> str | None:
        """Whose token it is, or None."""
        name, until = self._until.get(token or "", ("", 0.0))
        return name if name and time.monotonic() < until else None

    def close(self, token: str | None) -> None:
        """Log out."""
        self._until.pop(token or "", None)


class LoginGate:
    """Lets nobody past without a session: a page is sent to the login, any other call gets 401."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        request = Request({**scope, "type": "http", "method": scope.get("method", "GET")})
        if self._sessions.name(request.cookies.get(SESSION_COOKIE)) is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif "text/html" in request.headers.get("accept", "") and request.method == "GET":
            await RedirectResponse(LOGIN_PATH, 303)(scope, receive, send)
        else:
            await PlainTextResponse("Log in first.", 401)(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            _add_missing(headers, PAGE_HEADERS)
        await send(message)

    return sender


def _add_missing(headers: MutableHeaders, wanted: Mapping[str, str]) -> None:
    for name, value in wanted.items():
        headers.setdefault(name, value)


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
