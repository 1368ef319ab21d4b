"""What the dearest requests cost at each door: `python -m benchmarks.costs [--only WORD…] [--tries 1] [--json FILE]`.

A real service and a real page (with the fast test engine) get requests that were made to be dear: deep and wide JSON,
long numbers, prompts full of syntax, bodies in a million pieces, forms of a thousand parts, pictures that are bombs. A
body of each kind grows from 64 KiB to 31 MiB; the dearest one counts. Processor time and memory are those of the
process that answers, not of its engine. None may cost more than 2 s or 256 MiB; status 1 if one does.
"""

import argparse
import json
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from app.service.http.body_limits import TAKES_PICTURES
from app.service.http.scopes import TABLE
from app.ui.addresses import EVENTS_PATH, LOGIN_PATH, UPLOAD_PATH
from benchmarks.costs.body import Body, Make, in_pieces
from benchmarks.costs.json_bodies import json_bodies
from benchmarks.costs.picture_bodies import forms, pictures_for, raw_pictures
from tests.running import RunningPage, RunningProgram
from tests.system.victim import Victim

MOST_S, MOST_MIB = 2.0, 256.0
SIZES = (2**16, 2**18, 1_000_000, 2**23, 31 * 2**20)  # bytes


@dataclass(frozen=True)
class Cost:
    """One request: processor seconds, MiB on top of what the process had, and the answer's status."""

    door: str
    body: str
    size: int
    cpu_s: float
    mib: float
    status: int

    @property
    def share(self) -> float:
        """Of what is allowed: 1 = all of it."""
        return max(self.cpu_s / MOST_S, self.mib / MOST_MIB)


class Scale:
    """Weighs requests to one running program."""

    def __init__(self, program: RunningProgram, process: psutil.Process) -> None:
        self._address = urlsplit(program.url)
        self._process = process

    def weigh(self, door: str, body: Body) -> Cost:
        """Send it, wait for the answer's end, and see what the process has used since."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")  # the peak of its memory begins anew
        cpu, memory = self._cpu_s(), self._status_mib("VmRSS")
        status = self._send(door, body)
        peak = self._status_mib("VmHWM")
        return Cost(door, body.name, len(body.data), round(self._cpu_s() - cpu, 2), round(peak - memory, 1), status)

    def _send(self, door: str, body: Body) -> int:
        head = f"{door} HTTP/1.1\r\nHost: {self._address.netloc}\r\nConnection: close\r\n"
        head += f"Content-Type: {body.content_type}\r\n"
        head += "Transfer-Encoding: chunked\r\n" if body.chunked else f"Content-Length: {len(body.data)}\r\n"
        with socket.create_connection((self._address.hostname, self._address.port), timeout=120) as line:
            try:
                line.sendall(head.encode() + b"\r\n")
                line.sendall(body.data)
            except OSError:
                pass  # it has answered before the end
            answer = b""
            try:
                while part := line.recv(2**16):
                    answer = answer or part
            except OSError:
                pass
        return int(answer[9:12] or 0)

    def _cpu_s(self) -> float:
        """Once the process is at rest: what goes on after the answer belongs to the request."""
        used = -1.0
        while (now := sum(self._process.cpu_times()[:2])) > used + 0.01:
            used = now
            time.sleep(0.05)
        return now

    def _status_mib(self, field: str) -> float:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def main(arguments: Sequence[str] | None = None) -> int:
    """Weigh all, print the dearest of each door."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], help="doors whose names have one of these words")
    parser.add_argument("--tries", type=int, default=2, help="of what is too dear: the cheapest try counts")
    parser.add_argument("--json", type=Path, help="where every request is written")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        costs = list(_all(stack, Path(name), options.only, options.tries))
    if options.json:
        options.json.write_text(json.dumps([asdict(cost) for cost in costs], indent=1))
    print(f"\n{len(costs)} requests\n\n| door | dearest in time | s | dearest in memory | MiB |\n|---|---|---|---|---|")
    for door in dict.fromkeys(cost.door for cost in costs):
        own = [cost for cost in costs if cost.door == door]
        slow, large = max(own, key=lambda cost: cost.cpu_s), max(own, key=lambda cost: cost.mib)
        print(f"| {door} | {slow.body}, {slow.size >> 10} KiB | {slow.cpu_s} | {large.body}, {large.size >> 10} KiB "
              f"| {large.mib:.0f} |")  # fmt: skip
    return int(any(cost.share > 1 for cost in costs))


def _all(stack: ExitStack, folder: Path, only: list[str], tries: int) -> Iterator[Cost]:
    service = stack.enter_context(Victim(folder / "service", MAX_QUEUE="100000"))
    page = stack.enter_context(RunningPage(folder / "page", service.url))
    [worker] = service.servers()
    scales = ((Scale(service, worker), _of_service()), (Scale(page, psutil.Process(page.pid)), _of_page()))
    for scale, doors in scales:
        for door, made in doors:
            if any(word in door for word in only):
                yield from (_dearest(scale, door, make, tries) for make in made)


def _of_service() -> Iterator[tuple[str, list[Make]]]:
    """Every address that may be sent something, as method and path; those that take pictures get them in every form."""
    for line in "\n".join(TABLE.values()).split("\n"):
        method, _, path = line.strip().partition(" ")
        if method in ("POST", "PUT", "PATCH"):
            bodies = [*json_bodies(), in_pieces(next(iter(json_bodies())))]
            if path in TAKES_PICTURES:
                bodies += [*raw_pictures(), *pictures_for(path), *forms(), in_pieces(next(iter(raw_pictures())))]
            yield f"{method} {re.sub('<.*?>', 'x', path)}", bodies


def _of_page() -> Iterator[tuple[str, list[Make]]]:
    yield f"POST {EVENTS_PATH}", list(json_bodies())
    yield f"POST {UPLOAD_PATH}", list(raw_pictures())[:3]
    yield f"POST {LOGIN_PATH}", list(forms())


def _dearest(scale: Scale, door: str, make: Make, tries: int) -> Cost:
    """Of all sizes. It goes on growing until it is refused for its length, or is far too dear."""
    found: list[Cost] = []
    made = 0
    for size in SIZES:
        body = make(size)
        if len(body.data) == made:
            break  # it has one size only
        made = len(body.data)
        costs = [scale.weigh(door, body)]
        while costs[-1].share > 1 and len(costs) < tries:
            costs.append(scale.weigh(door, body))
        found.append(min(costs, key=lambda cost: cost.share))
        if found[-1].status == 413 or found[-1].share > 2:
            break
    dearest = max(found, key=lambda cost: cost.share)
    mark = "  <-- too dear" if dearest.share > 1 else ""
    print(f"{dearest.cpu_s:6.2f} s {dearest.mib:6.0f} MiB  {dearest.status}  {door}  {dearest.body}, "
          f"{dearest.size >> 10} KiB{mark}", flush=True)  # fmt: skip
    return dearest


if __name__ == "__main__":
    sys.exit(main())
