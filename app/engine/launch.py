"""How a child is started: with what command, what environment, and when it counts as started."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.core.errors import EngineCrashed
from app.core.settings import Settings
from app.engine.frames import Frame
from app.engine.process import ChildProcess
from app.engine.run import Silence, end_if_hung

REAL_MAKER = "app.engine.child"
TEST_MAKER = "app.engine.testing"
POLL_S = 0.05
SECRET_ENDINGS = ("_KEY", "_KEYS", "_KEYS_FILE", "_TOKEN", "_SECRET", "_PASSWORD", "DATABASE_URL")


class Launcher:
    """Starts the children of one device. `command` replaces the interpreter and module (for tests)."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        torch_device: str,
        environment: Mapping[str, str],
        command: Sequence[str] | None,
    ) -> None:
        module = TEST_MAKER if settings.engine == "test" else REAL_MAKER
        self._name = name
        self._settings = settings
        self._torch_device = torch_device
        self._environment = dict(environment)
        self._command = command or (sys.executable, "-m", module)

    def spawn(self, on_status: Callable[[Frame], None]) -> ChildProcess:
        """A new child that has not said hello yet."""
        options = {
            "device": self._torch_device,
            "parent": os.getpid(),
            "previews_per_s": self._settings.previews_per_s,
            "machine_size": self._settings.machine_size,
            "memory_tier": self._settings.memory_tier,
        }
        return ChildProcess(
            [*self._command, json.dumps(options)],
            child_environment(os.environ) | self._environment,
            name=self._name,
            send_timeout_s=self._settings.denoise_timeout_s,
            on_status=on_status,
        )

    def greeting(self, child: ChildProcess) -> dict[str, Any]:
        """Wait for the child's hello and give its fields. Raises EngineCrashed or EngineHung."""
        silence = Silence(self._settings)
        while (frame := child.next_frame(POLL_S)) is None:
            end_if_hung(child, silence)
        if frame.kind != "hello":
            raise EngineCrashed("The process that makes the pictures did not say hello.")
        return frame.fields


def child_environment(own: Mapping[str, str]) -> dict[str, str]:
    """What this process has, less every secret: a child has no database and no keys, and asks no model hub."""
    kept = {name: value for name, value in own.items() if not name.upper().endswith(SECRET_ENDINGS)}
    return kept | {"HF_HUB_OFFLINE": "1", "DIFFUSERS_DISABLE_REMOTE_CODE": "1"}
