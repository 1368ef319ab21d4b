"""Where a call to the hub may lead: to the hub itself, and to public addresses that it names. Never into this network.

A hub that is hostile, or was taken over, could otherwise have this machine ask its neighbours, who trust it.
"""

import ipaddress
import socket
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import constants, get_session

from app.core.errors import ModelRefused


def guard_redirects() -> None:
    """From now on every call of huggingface_hub in this process, redirects too, is looked at before it is made."""
    session = get_session()
    hooks = session.event_hooks
    if refuse_private not in hooks["request"]:
        session.event_hooks = {**hooks, "request": [*hooks["request"], refuse_private]}


def refuse_private(request: httpx2.Request) -> None:
    """Raises ModelRefused for a request to a private address while the hub has a public one.

    The address is looked at twice: that of the name, and, before anything is sent, that of the connection, for a name
    may lead elsewhere a moment later. A hub in the owner's own network is the owner's: it may name its neighbours. What
    only a proxy can look up is not known here, and is the proxy's matter.
    """
    hub = urlsplit(constants.ENDPOINT).hostname or ""
    host = request.url.host
    if host == hub or _is_private(hub):
        return
    if _is_private(host):
        raise _refused(host)
    request.extensions = {**request.extensions, "trace": _look_at_connections_to(host)}


def _look_at_connections_to(host: str) -> Callable[[str, Mapping[str, Any]], None]:
    """What httpcore calls at each of its steps; a connection to a proxy is to another host, and is let be."""
    connecting_to = ""

    def look(step: str, about: Mapping[str, Any]) -> None:
        nonlocal connecting_to
        if step == "connection.connect_tcp.started":
            connecting_to = about["host"]
        elif step == "connection.connect_tcp.complete" and connecting_to == host:
            stream = about["return_value"]
            if not _public(str(stream.get_extra_info("server_addr")[0])):
                stream.close()
                raise _refused(host)

    return look


def _refused(host: str) -> ModelRefused:
    return ModelRefused(
        f"The hub sent this machine to {host}, an address of a private network, which is not asked.",
        hint="Is HF_ENDPOINT a hub that you trust?",
    )


def _is_private(host: str) -> bool:
    """True if any address of the name is none of the public internet."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(not _public(str(address[0])) for *_, address in found)


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    inside = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (inside or ip).is_global
