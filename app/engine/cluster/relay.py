"""`python -m app.engine.cluster.relay OPTIONS FD`: hands one engine's calls on to a replica in a Ray cluster.

A process of its own, because Ray ends the process that speaks with a cluster when the cluster's head is gone. The
replica belongs to it: when it ends, however it ends, Ray ends the replica. It ends itself when the replica does.
"""

import argparse
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import ray
from ray.exceptions import GetTimeoutError

from app import __version__
from app.engine import messages
from app.engine.cluster.replica import Replica
from app.engine.frames import Channel, Frame, FrameError
from app.engine.loop import die_with_parent

NAMESPACE = "atelier"
CALLS_AT_A_TIME = 8  # one that works, what is told to it meanwhile, and how it is
BUSY_PULSE_S, IDLE_PULSE_S, PULSE_LIMIT_S = 1.0, 3.0, 10.0
LOST = 3  # exit code: Ray or the machine with the replica is gone


@dataclass(frozen=True)
class Options:
    """What a relay is told at its start. `gpus` and `cpus`: what its replica holds of a machine."""

    address: str
    parent: int
    gpus: float
    cpus: float


class Relay:
    """Serves one parent until it says exit or goes away, or until the replica is lost. `run` is the main thread."""

    def __init__(self, channel: Channel, options: Options) -> None:
        self._channel = channel
        self._options = options
        self._calls: queue.SimpleQueue[tuple[Frame, dict[str, bytes]]] = queue.SimpleQueue()
        self._busy = threading.Event()
        self._replica: Any = None

    def run(self) -> NoReturn:
        """Never returns. Waits for as long as the cluster has no room for the replica."""
        threading.Thread(target=self._listen, name="messages", daemon=True).start()
        try:
            self._attach()
            threading.Thread(target=self._pulse, name="pulse", daemon=True).start()
            while True:
                self._hand_on(*self._calls.get())
        except Exception as error:  # noqa: BLE001  (whatever it is, only another relay can go on)
            _end(LOST, _words(error))

    def _attach(self) -> None:
        options = self._options
        # An address is always given: without one Ray would start a cluster of its own.
        ray.init(
            address=options.address,
            namespace=NAMESPACE,
            log_to_driver=False,
            include_dashboard=False,
            logging_level=logging.WARNING,
        )
        replica = ray.remote(Replica).options(
            num_gpus=options.gpus, num_cpus=options.cpus, max_restarts=0, max_concurrency=CALLS_AT_A_TIME
        )
        self._replica = replica.remote(options.gpus)
        hello = ray.get(self._replica.hello.remote(__version__))
        if hello["refused"]:
            _end(LOST, hello["refused"])
        messages.send(self._channel, messages.Hello(name=hello["name"]))
        self._say(ray.get(self._replica.status.remote()))

    def _hand_on(self, call: Frame, files: dict[str, bytes]) -> None:
        self._busy.set()
        for told in self._replica.call.options(num_returns="streaming").remote(call, files):
            self._say(ray.get(told))
        self._busy.clear()

    def _listen(self) -> None:
        files: dict[str, bytes] = {}
        with suppress(EOFError, FrameError, OSError):
            while True:
                frame = self._channel.receive()
                match messages.parse(frame):
                    case messages.InputGiven(sha256=sha256, file=file):
                        files[sha256] = file
                    case messages.Exit():
                        break
                    case messages.CancelJob() | messages.PictureKept():
                        self._replica.tell.remote(frame)
                    case _:
                        self._calls.put((frame, files))
                        files = {}
        _end(0, "")

    def _pulse(self) -> None:
        """Tell that the replica answers; what it does not do, its own watch over its child finds out."""
        try:
            while True:
                time.sleep(BUSY_PULSE_S if self._busy.is_set() else IDLE_PULSE_S)
                with suppress(GetTimeoutError):
                    status = ray.get(self._replica.status.remote(), timeout=PULSE_LIMIT_S)
                    if self._busy.is_set():
                        self._say(status)
                        messages.send(self._channel, messages.Alive())
        except Exception as error:  # noqa: BLE001  (as above)
            _end(LOST, _words(error))

    def _say(self, frame: Any) -> None:
        said = cast("Frame", frame)
        self._channel.send(said.kind, said.raw, **said.fields)


def _end(code: int, words: str) -> NoReturn:
    """At once, whatever Ray's threads wait for; its last line is the reason."""
    if words:
        sys.stderr.write(f"{words}\n")
        sys.stderr.flush()
    os._exit(code)


def _words(error: Exception) -> str:
    """Ray says what happened first, and why in the last line of a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0][:500] if len(lines) == 1 else f"{lines[0][:500]} {lines[-1][:500]}"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Never returns."""
    parser = argparse.ArgumentParser(description="Started by the image service; of no use by hand.")
    parser.add_argument("options", type=lambda text: Options(**json.loads(text)))
    parser.add_argument("fd", type=int)
    given = parser.parse_args(arguments)
    die_with_parent(given.options.parent)
    for number in (signal.SIGINT, signal.SIGTERM):  # they may go to the whole group: the parent drains, then ends us
        signal.signal(number, signal.SIG_IGN)
    os.set_inheritable(given.fd, False)
    Relay(Channel(socket.socket(fileno=given.fd)), given.options).run()


if __name__ == "__main__":
    main()
