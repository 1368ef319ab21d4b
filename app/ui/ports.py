"""Whether the page's port is free, said in words where the server itself would say a number."""

import errno
import socket

from app.core.errors import AtelierError


class PortTaken(AtelierError):
    """Another program listens on the page's port: choose another with --port or ATELIER_UI_PORT."""

    code = "port_taken"


def refuse_taken_port(host: str, port: int) -> None:
    """Raise PortTaken if another program listens there. Whatever else is wrong with the address, the server says."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                remedy = "choose another with --port or ATELIER_UI_PORT"
                raise PortTaken(f"Another program listens on port {port} of {host}: {remedy}.") from None
