"""Who is calling, as far as the page can tell: the person who logged in, else the machine."""

import ipaddress

from starlette.requests import HTTPConnection

PERSON = "atelier.person"  # in the ASGI scope of every call that the login let pass
SHARED_PREFIX_BITS = 64  # one household has a whole such network of IPv6


def address_of(request: HTTPConnection) -> str:
    """The caller's address; of IPv6 the network, for its owner has as many addresses as they like."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, SHARED_PREFIX_BITS), strict=False))
    return host


def visitor_of(request: HTTPConnection) -> str:
    """One text for each person or machine, to count by."""
    person = request.scope.get(PERSON)
    return f"person {person}" if person else f"address {address_of(request)}"
