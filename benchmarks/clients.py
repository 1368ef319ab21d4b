"""Many clients at once: `python -m benchmarks.clients`. Steps of connections on loopback, up to 10,000, then an end.

Part `clients` of `python -m benchmarks` is quicker: 1 to 64 clients that submit at the same time.

For each step it opens that many kept connections, from as many addresses of loopback as there are hundreds of them,
half of which have sent half a request; then some of them ask and submit. It prints what short calls took meanwhile.
"""

import argparse
import os
import resource
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from benchmarks.figures import Figure, Options, milliseconds
from tests.running import RunningService

STEPS = (100, 1_000, 3_000, 10_000)
ASKED = 200  # health checks and submits of each step
AT_ONCE = 8
CLIENTS = (1, 4, 16, 64)
HALF = b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"


def measure(options: Options) -> Iterator[Figure]:
    """What a submit takes while so many clients submit at the same time."""
    settings = {"MAX_QUEUE": "100000", "START_PAUSED": "true", "PRELOAD": "false"}
    settings |= {"MODELS_FOLDER": str(options.models.resolve()), "DEFAULT_MODEL": options.model}
    wanted: Any = {"prompt": "x", "width": 64, "height": 64}
    with tempfile.TemporaryDirectory() as folder, RunningService(Path(folder), **settings) as service:
        for number in CLIENTS[:2] if options.tiny else CLIENTS:

            def submit() -> bool:
                return requests.post(f"{service.url}/api/jobs", json=wanted, timeout=60).status_code == 202

            times, failed = asked(submit, at_once=number, calls=10 if options.tiny else ASKED)
            if failed:
                raise RuntimeError(f"{failed} submits of {number} clients failed")
            curve = "submit over HTTP, ms by clients at once"
            yield milliseconds(f"submit over HTTP, {number} clients", times, curve=curve, at=number)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=list(STEPS), help="connections of each step")
    steps = parser.parse_args(arguments).steps
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(steps) * 2 + 1_000), hard))
    load = os.getloadavg()[0]
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load average before it began: {load:.1f}")
    print("connections  opened in s  dropped  /health p50/p99 ms  submit p50/p99 ms  errors")
    settings = {"MAX_QUEUE": "100000", "START_PAUSED": "true", "PRELOAD": "false"}
    with tempfile.TemporaryDirectory() as folder, RunningService(Path(folder), **settings) as service:
        for number in steps:
            print(step(service, number), flush=True)


def step(service: RunningService, number: int) -> str:
    """One line of the table."""
    with ExitStack() as stack:
        began = time.perf_counter()
        socks = [stack.enter_context(sock) for sock in opened(service.port, number)]
        opening = time.perf_counter() - began
        health, failed = asked(lambda: requests.get(f"{service.url}/health", timeout=60).status_code == 200)
        wanted: Any = {"prompt": "x", "width": 64, "height": 64}
        submit, refused = asked(
            lambda: requests.post(f"{service.url}/api/jobs", json=wanted, timeout=60).status_code == 202
        )
        dropped = sum(map(is_closed, socks))
    figures = f"{spread(health):>18}  {spread(submit):>17}"
    return f"{number:>11}  {opening:>11.1f}  {dropped:>7}  {figures}  {failed + refused:>6}"


def opened(port: int, number: int) -> Iterator[socket.socket]:
    """Connections, a hundred from each address."""
    for count in range(number):
        source = f"127.0.{1 + count // 25_000}.{1 + count // 100 % 250}"
        sock = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))
        if count % 2:
            sock.sendall(HALF)
        yield sock


def asked(ask: Callable[[], bool], at_once: int = AT_ONCE, calls: int = ASKED) -> tuple[list[float], int]:
    """Seconds that each of the calls took, so many of them at a time, and how many failed."""

    def timed(_: int) -> tuple[float, bool]:
        began = time.perf_counter()
        try:
            good = ask()
        except requests.RequestException:
            good = False
        return time.perf_counter() - began, good

    with ThreadPoolExecutor(at_once) as pool:
        found = list(pool.map(timed, range(calls)))
    return sorted(seconds for seconds, _ in found), sum(not good for _, good in found)


def spread(seconds: Sequence[float]) -> str:
    """Median and 99th hundredth in milliseconds."""
    return f"{seconds[len(seconds) // 2] * 1000:.0f} / {seconds[len(seconds) * 99 // 100] * 1000:.0f}"


def is_closed(sock: socket.socket) -> bool:
    """True if the service ended it: it was late, or there were too many."""
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


if __name__ == "__main__":
    main()
