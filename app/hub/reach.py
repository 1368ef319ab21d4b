"""Where a call to the hub may lead: to the hub itself, and to public addresses that it names. Never into this network.

A hub that is hostile, or was taken over, could otherwise have this machine ask its neighbours, who trust it.
"""

import ipaddress
import socket
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

    A hub in the owner's own network is the owner's: it may name its neighbours. What only a proxy can look up is not
    known here, and is the proxy's matter.
    """
    hub = urlsplit(constants.ENDPOINT).hostname or ""
    if request.url.host != hub and _is_private(request.url.host) and not _is_private(hub):
        raise ModelRefused(
            f"The hub sent this machine to {request.url.host}, an address of a private network, which is not asked.",
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
