"""Event streams of the real service through a proxy that cuts, stalls and half-closes them: nothing is missed."""

import contextlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from app.client import ImageServiceClient
from tests.running import RunningService

HOW = ("reset", "goodbye", "half", "late", "whole")


class CuttingProxy:
    """Passes bytes on to `port`, and treats each connection in another way, after some bytes of the answer."""

    def __init__(self, port: int, after: int) -> None:
        self._target = port
        self._after = after
        self._ways = itertools.cycle(HOW)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.seen: list[str] = []
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(20)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._target)) as far, contextlib.suppress(OSError):
            self._open += [near, far]
            head = b""
            while b"\r\n\r\n" not in head:
                head += near.recv(2**16)
            far.sendall(head)
            if b"/events" not in head:
                threading.Thread(target=_pass_on, args=(near, far), daemon=True).start()
            way = next(self._ways) if b"/events" in head else "whole"
            self.seen.append(way)
            passed = 0
            while data := far.recv(64 if way != "whole" else 2**16):
                if way == "late":
                    time.sleep(0.01)
                near.sendall(data)
                passed += len(data)
                if way in ("reset", "goodbye", "half") and passed > self._after:
                    break
            if way == "reset":
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif way == "half":
                near.shutdown(socket.SHUT_WR)  # and the reader's side stays open
                near.settimeout(2)
                near.recv(1)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(Path(tmp_path_factory.mktemp("cut")), PRELOAD="false") as running:
        yield running


@pytest.mark.parametrize("after", [400, 900])
def test_a_stream_that_is_cut_again_and_again_tells_each_change_once_and_in_order(
    service: RunningService, after: int
) -> None:
    with CuttingProxy(service.port, after) as proxy:
        client = ImageServiceClient(f"http://127.0.0.1:{proxy.port}")
        job = client.submit({"prompt": "!slow", "width": 64, "height": 64, "num_inference_steps": 8, "num_images": 2})
        told = [event.kind for event in client.events(job.id)]
        ways = [way for way in proxy.seen if way != "whole"]
    states = [kind for kind in told if kind not in ("loading", "step")]
    assert states == ["queued", "image", "image", "succeeded"]
    assert ways
    assert client_of(service).job(job.id).state == "succeeded"


def client_of(service: RunningService) -> ImageServiceClient:
    return ImageServiceClient(service.url)


def test_where_no_event_ever_comes_through_the_end_is_told_all_the_same(service: RunningService) -> None:
    with CuttingProxy(service.port, 0) as proxy:
        client = ImageServiceClient(f"http://127.0.0.1:{proxy.port}")
        job = client.submit({"prompt": "!slow", "width": 64, "height": 64, "num_inference_steps": 2})
        assert [event.kind for event in client.events(job.id)][-1] == "succeeded"
