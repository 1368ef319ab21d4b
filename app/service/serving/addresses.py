"""Is the address free to listen on, and if not, who has it?"""

import errno
import os
import socket
import sys

import psutil

from app.core.errors import AtelierError


class PortTaken(AtelierError):
    """Another process listens on this port."""

    code = "port_taken"


def check(host: str, port: int) -> None:
    """Raise PortTaken, naming the process, if nobody else can listen on `host` and `port`. Port 0 is always free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            # As the server itself does: a port in TIME_WAIT is free, a port that somebody listens on is not.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _explained(error, host, port) from error


def listener(port: int) -> psutil.Process | None:
    """The process that listens on a TCP port of this machine, as far as this user may see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return None
    for connection in connections:
        taken = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if taken and connection.pid not in (None, os.getpid()):
            try:
                return psutil.Process(connection.pid)
            except psutil.NoSuchProcess:
                return None
    return None


def _explained(error: OSError, host: str, port: int) -> AtelierError:
    if error.errno != errno.EADDRINUSE:
        return PortTaken(f"Cannot listen on {host}:{port}: {error.strerror}.", hint="See ATELIER_HOST, ATELIER_PORT.")
    process = listener(port)
    who = "another process"
    if process is not None:
        try:
            who = f"process {process.pid} ({process.name()})"
        except psutil.Error:
            who = f"process {process.pid}"
    return PortTaken(
        f"Port {port} on {host} is taken by {who}.", hint="End it, or choose another port with ATELIER_PORT."
    )
