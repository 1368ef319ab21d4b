"""How a child is started: with what command, what walls, what environment, and when it counts as started."""

import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from app.catalog import ModelEntry
from app.confine import missing
from app.core.errors import EngineCrashed
from app.core.settings import Confine, Settings
from app.engine.frames import FrameError
from app.engine.messages import Hello, Status
from app.engine.process import ChildProcess
from app.engine.reach import Reach, child_environment
from app.engine.run import Silence, end_if_hung

# What `ATELIER_ENGINE` names: the module that runs in the child. Named, not imported: it may need torch.
MAKERS = {"local": "app.engine.makers.pipelines", "test": "app.engine.makers.testing"}
CONFINED = "app.engine.confined"
POLL_S = 0.05

logger = logging.getLogger(__name__)


class Launcher:
    """Starts the children of one device. `module` is another maker, `command` another program, without walls; both
    are for tests."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        torch_device: str,
        environment: Mapping[str, str],
        command: Sequence[str] | None = None,
        module: str | None = None,
    ) -> None:
        self._name = name
        self._settings = settings
        self._torch_device = torch_device
        self._environment = dict(environment)
        self._module = module or MAKERS[settings.engine]
        self._command = command
        self._on_gpu = torch_device != "cpu" and settings.engine != "test"
        self._reach = Reach(settings, gpu=self._on_gpu)
        self._told = False

    def spawn(self, on_status: Callable[[Status], None], *, last_try: bool = False) -> ChildProcess:
        """A new child that has not said hello yet. Raises EngineCrashed if it may only run confined and cannot.

        `last_try`: on a GPU, whose driver may need what the walls keep from it, without walls (and the log says so).
        """
        options = {
            "device": self._torch_device,
            "parent": os.getpid(),
            "previews_per_s": self._settings.previews_per_s,
            "machine_size": self._settings.machine_size,
            "memory_tier": self._settings.memory_tier,
            "compute": self._settings.compute,
            "compiled": str(self._reach.compiled()),
        }
        scratch = self._reach.scratch()
        confined = self._confines(last_try)
        command = self._command or [sys.executable, "-m", self._module]
        if confined and not self._command:
            walls = json.dumps(asdict(self._reach.walls(scratch)))
            command = [sys.executable, "-m", CONFINED, self._module, walls]
        return ChildProcess(
            [*command, json.dumps(options)],
            child_environment(os.environ, scratch) | self._environment,
            name=self._name,
            send_timeout_s=self._settings.denoise_timeout_s,
            on_status=on_status,
            on_end=lambda: shutil.rmtree(scratch, ignore_errors=True),
        )

    def covers(self, entry: ModelEntry) -> bool:
        """False if the model came to the disk after the last child was started, so that only a new one can read it."""
        return self._settings.confine is Confine.OFF or bool(self._command) or self._reach.covers(entry)

    def greeting(self, child: ChildProcess) -> Hello:
        """Wait for the child's hello. Raises EngineCrashed or EngineHung."""
        silence = Silence(self._settings, taken=True)
        try:
            while (message := child.next_message(POLL_S)) is None:
                end_if_hung(child, silence)
        except FrameError as error:
            raise EngineCrashed(f"The process that makes the pictures sent {error}.") from error
        if not isinstance(message, Hello):
            raise EngineCrashed("The process that makes the pictures did not say hello.")
        return message

    def _confines(self, last_try: bool) -> bool:
        """Whether the next child gets walls; what this machine cannot do is said once."""
        chosen, gaps = self._settings.confine, missing()
        if chosen is Confine.REQUIRED and gaps:
            raise EngineCrashed(f"ATELIER_CONFINE=required, but {' '.join(gaps)}")
        if chosen is Confine.OFF:
            gaps = ("ATELIER_CONFINE=off.",)
        if gaps and not self._told:
            logger.warning("%s: the models' process is not fully confined. %s", self._name, " ".join(gaps))
        self._told = True
        if last_try and self._on_gpu and chosen is Confine.AUTO:
            logger.warning("%s does not start behind its walls on this GPU; it is started without them", self._name)
            return False
        return chosen is not Confine.OFF
