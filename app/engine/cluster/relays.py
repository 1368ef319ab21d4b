"""The relay of one engine as the service sees it: started when a device is wanted, and again when one was lost."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable

from app.catalog import ModelEntry
from app.core.environment import handed_on
from app.core.errors import EngineCrashed, EngineLost, EngineUnavailable
from app.core.settings import Settings
from app.engine import messages
from app.engine.children import Children
from app.engine.process import ChildProcess

MODULE = "app.engine.cluster.relay"
POLL_S = 0.05
ANSWER_S = 60.0  # until a call that does not ask first whether there is a device gives up
CROWDED_S = 30.0  # so long may a device be waited for before people are told
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 30.0


class RelayProcess(ChildProcess):
    """A relay. What ends it is no fault of the work: it says itself when its replica's child crashed."""

    def send(self, message: messages.Message) -> None:
        """As of any child, but raises EngineLost."""
        try:
            super().send(message)
        except EngineCrashed as error:
            raise EngineLost(self.obituary()) from error

    def next_message(self, timeout_s: float) -> messages.Message | None:
        """As of any child, but raises EngineLost."""
        try:
            return super().next_message(timeout_s)
        except EngineCrashed as error:
            raise EngineLost(self.obituary()) from error

    def obituary(self) -> str:
        """How it ended, in a sentence."""
        lines = self.last_lines.splitlines()
        if any("InvalidAuthToken" in line for line in lines):
            return "The cluster does not accept the token of this machine."
        return f"The device of the cluster is gone. {lines[-1] if lines else super().obituary()}"


class RelayLauncher:
    """Starts the relays of one engine. See `app.engine.children.Starter`."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._name = name
        self._settings = settings

    def spawn(self, on_status: Callable[[messages.Status], None], *, last_try: bool = False) -> RelayProcess:
        """A relay that has not said hello yet: it does when the cluster had room for its replica."""
        settings = self._settings
        options = {
            "address": settings.ray_address,
            "parent": os.getpid(),
            "gpus": settings.ray_gpus,
            "cpus": settings.ray_cpus,
        }
        own = {name.upper() for name in os.environ if name.startswith("RAY_")}
        return RelayProcess(
            [sys.executable, "-m", MODULE, json.dumps(options)],
            handed_on(os.environ, more={*own, "HOME"}),
            name=f"engine {self._name}",
            send_timeout_s=settings.denoise_timeout_s,
            on_status=on_status,
            on_end=lambda: None,
        )

    def covers(self, entry: ModelEntry) -> bool:
        """Always: the machine with the replica sees to it."""
        return True

    def greeting(self, child: ChildProcess) -> messages.Hello:
        """Wait for its hello. Raises EngineLost."""
        while not isinstance(message := child.next_message(POLL_S), messages.Hello):
            pass
        return message


class Roster:
    """Of the engines that ask for a device when it is wanted one at a time does, so that not many wait for the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking: object | None = None

    def take(self, who: object) -> bool:
        """True if it is now this one's turn to ask."""
        with self._lock:
            self._asking = self._asking or who
            return self._asking is who

    def give(self, who: object) -> None:
        """It asks no more. Free if it did not."""
        with self._lock:
            if self._asking is who:
                self._asking = None


class Relays(Children):
    """The relay that an engine has, if it has one. `ready` and `living` are for one thread, the rest for any.

    `lasting`: it asks for a device even when nothing is to be done.
    """

    def __init__(self, launcher: RelayLauncher, device: str, roster: Roster, *, lasting: bool) -> None:
        super().__init__(launcher, device)
        self._roster = roster
        self._lasting = lasting
        self._greeted: ChildProcess | None = None
        self._asked_at = 0.0
        self._retry_s = 0.0
        self._retry_at = 0.0

    @property
    def current(self) -> ChildProcess | None:
        """The relay that runs now and has its device."""
        child = super().current
        return child if child is not None and child is self._greeted else None

    def ready(self, wanted: Callable[[], bool]) -> bool:
        """See `Engine.ready`."""
        if self.closed:
            return False
        if self.current is not None:
            return True
        if self._child is None or self._child is self._greeted:
            return self._ask(wanted)
        if not self._lasting and not wanted():
            self._dismiss()
            return False
        return self._hear(self._child)

    def living(self, entry: ModelEntry | None = None) -> ChildProcess:
        """The relay, if need be a new one once it has its device. Raises EngineUnavailable, after 60 s without one."""
        deadline = time.monotonic() + ANSWER_S
        while not self.ready(lambda: True):
            if self.closed or time.monotonic() > deadline:
                raise EngineUnavailable("The cluster has no device free.")
            time.sleep(POLL_S)
        child = self.current
        if child is None:
            raise EngineLost
        return child

    def rest(self) -> None:
        """Give the device back, until it is wanted again; one that lasts, only to free its memory."""
        if self._lasting and not (self.reported and self.reported.loaded):
            return
        super().rest()
        self._roster.give(self)

    def close(self, *, busy: bool) -> None:
        """Ask for no more and end the relay."""
        super().close(busy=busy)
        self._roster.give(self)

    def _ask(self, wanted: Callable[[], bool]) -> bool:
        self._bury()
        if time.monotonic() < self._retry_at or not (self._lasting or (wanted() and self._roster.take(self))):
            return False
        self._starts += 1
        self._asked_at = time.monotonic()
        self._child = self._launcher.spawn(self._take_status)
        return False

    def _hear(self, child: ChildProcess) -> bool:
        """Whether the relay that asked has its device by now. Raises EngineUnavailable."""
        try:
            message = child.next_message(0.0)
        except EngineLost as error:
            self._roster.give(self)
            self._retry_s = min(LONGEST_RETRY_S, self._retry_s * 2 or FIRST_RETRY_S)
            self._retry_at = time.monotonic() + self._retry_s
            self._bury()
            raise EngineUnavailable(error.message) from error
        if isinstance(message, messages.Hello):
            self.name, self._greeted, self._retry_s = message.name, child, 0.0
            self._roster.give(self)
            return True
        if self._lasting and time.monotonic() - self._asked_at > CROWDED_S:
            raise EngineUnavailable("The cluster has no device free.", hint="Start another machine, or wait.")
        return False

    def _dismiss(self) -> None:
        child, self._child = self._child, None
        self._roster.give(self)
        if child is not None:
            self._rests += 1
            child.kill()
