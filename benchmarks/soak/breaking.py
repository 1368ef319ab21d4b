"""What is broken under the studio, and in which order."""

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.soak.disk import fill
from tests.running import RunningPage
from tests.system.victim import Victim, wait_until

READY_S = 300.0  # of a loaded machine


class Breaker:
    """Breaks a studio that others use meanwhile, and brings back what nobody else starts again.

    `restart_watcher` ends the drop folder's watcher by `kill -9` and starts another. Each way comes `rounds` times.
    """

    def __init__(
        self,
        service: Victim,
        page: RunningPage,
        restart_watcher: Callable[[], None],
        disk: Path | None,
        seed: int,
        rounds: int,
    ) -> None:
        self._service, self._page = service, page
        self._dice = random.Random(seed)
        self._rounds = rounds
        self.done: Counter[str] = Counter()
        self.back_s: list[float] = []
        self._ways: dict[str, Callable[[], None]] = {
            "engine": self._kill_engine,
            "worker": service.kill_worker,
            "arbiter": self._kill_arbiter,
            "everything": self._kill_all,
            "page": self._kill_page,
            "watcher": restart_watcher,
        }
        if disk is not None:
            self._ways["full disk"] = lambda: fill(disk)

    def plan(self) -> list[str]:
        """The names of what to do, shuffled."""
        ways = list(self._ways) * self._rounds
        self._dice.shuffle(ways)
        return ways

    def do(self, way: str) -> None:
        """Break that, and return when the service takes work again."""
        began = time.monotonic()
        self._ways[way]()
        wait_until("the service is ready", self._ready, READY_S)
        self.done[way] += 1
        self.back_s.append(round(time.monotonic() - began, 2))

    def _kill_engine(self) -> None:
        wait_until("there is an engine to kill", self._service.kill_engine, READY_S, 0.01)

    def _kill_arbiter(self) -> None:
        self._service.kill_arbiter()
        self._service.start(READY_S)

    def _kill_all(self) -> None:
        self._page.kill()
        self._service.kill_all()
        self._service.start(READY_S)
        self._page.start(READY_S)

    def _kill_page(self) -> None:
        self._page.kill()
        self._page.start(READY_S)

    def _ready(self) -> bool:
        try:
            return self._service.client.ready()
        except Exception:  # noqa: BLE001 - whatever it says, it is not ready
            return False
