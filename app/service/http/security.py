"""Who may call: known host names only (DNS rebinding), no foreign web pages (CSRF), API keys where there are any."""

import socket
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import psutil
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import SecurityError

from app.core.errors import NotAllowed, NotAuthenticated
from app.core.settings import LOOPBACK_HOSTS, Settings
from app.service.http.body_limits import limit_body
from app.service.http.callers import Caller
from app.service.http.key_ring import KeyRing
from app.service.http.scopes import Act

View = TypeVar("View", bound=Callable[..., object])
ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, never bound here
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CORS_METHODS = "GET, POST, PATCH, DELETE"
CORS_HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Atelier-Origin, X-Request-Id"
_SAME_ORIGIN = "_atelier_same_origin"


def same_origin_only(view: View) -> View:
    """Mark a GET view that a foreign web page must not even start, because it holds a thread."""
    setattr(view, _SAME_ORIGIN, True)
    return view


def trusted_hosts(settings: Settings) -> frozenset[str]:
    """The names in `Host`, without port, under which the service may be called.

    A foreign name is a DNS rebinding attack. Behind the any-address these are the machine's own names and addresses.
    """
    names = {*LOOPBACK_HOSTS, *settings.trusted_hosts, settings.host} - set(ANY_ADDRESS)
    if settings.host in ANY_ADDRESS:
        addresses = (item.address for items in psutil.net_if_addrs().values() for item in items)
        names |= {socket.gethostname(), *(address.partition("%")[0] for address in addresses)}
    # Flask's own TRUSTED_HOSTS cuts a name at its first colon, so it can hold no IPv6 address.
    return frozenset(f"[{name.lower()}]" if ":" in name else name.lower() for name in names)


def register(app: Flask, settings: Settings, keys: KeyRing, acts: Mapping[str, Act]) -> None:
    """Put the checks in front of every address of the app, and the protecting headers onto every answer."""
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_body_bytes
    app.config["MAX_FORM_PARTS"] = 100
    cors = frozenset(settings.cors_origins)
    hosts = trusted_hosts(settings)

    def check() -> None:
        _check_host(hosts)
        _check_origin(cors)
        _check_key(keys, acts)
        limit_body()

    def protect(response: Response) -> Response:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers.setdefault("Cache-Control", "no-store")
        if cors:
            _allow_cors(response, cors)
        return response

    app.before_request(check)
    app.after_request(protect)


def _check_host(hosts: frozenset[str]) -> None:
    host = request.host.lower()  # empty if it is no host name at all
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in hosts:
        raise SecurityError(f"The service is not known as {name!r}. ATELIER_TRUSTED_HOSTS lists its further names.")


def _check_origin(cors: frozenset[str]) -> None:
    """Refuse what a browser sends on behalf of a foreign page. Programs send neither header and pass."""
    view = current_app.view_functions.get(request.endpoint or "")
    if request.method in SAFE_METHODS and not hasattr(view, _SAME_ORIGIN):
        return
    origin = request.headers.get("Origin")
    if origin is not None and origin in cors:
        return
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("same-origin", "none") or (origin is not None and _address(origin) != request.host.lower()):
        raise NotAllowed(
            "A web page of another origin may not do this.",
            hint="Add its exact origin to ATELIER_CORS_ORIGINS if you trust it.",
        )


def _address(origin: str) -> str | None:
    """`host:port` of an Origin header in lower case, or None for `null` and other things that are no address."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _check_key(keys: KeyRing, acts: Mapping[str, Act]) -> None:
    if not keys.needed or request.method == "OPTIONS" or request.url_rule is None:
        return
    method = "GET" if request.method == "HEAD" else request.method
    act = acts[f"{method} {request.url_rule.rule}"]  # all are listed: the app does not start otherwise
    if act.scope is None:
        return
    given = request.authorization
    if given is None:
        raise NotAuthenticated()
    # A1111 clients send HTTP Basic: the key is the password, the user name is theirs to choose.
    sent = given.token if given.type == "bearer" else given.password if given.type == "basic" else None
    key = keys.find(sent or "")
    if key is None:
        raise NotAuthenticated("This API key is not known here, or its time is over.")
    if not key.scope.includes(act.scope):
        raise NotAllowed(f"This API key has the scope `{key.scope}`; `{act.scope}` is needed to {act.words}.")
    g.caller = Caller(key.caller, key.scope, key)


def _allow_cors(response: Response, cors: frozenset[str]) -> None:
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin not in cors:
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = "Location, Retry-After, X-Request-Id"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = CORS_METHODS
        response.headers["Access-Control-Allow-Headers"] = CORS_HEADERS
