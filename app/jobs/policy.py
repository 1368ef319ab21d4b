"""How many jobs an engine takes at a time."""

from typing import Protocol

from app.engine.base import EngineStatus


class BatchPolicy(Protocol):
    """Asked before each claim."""

    def limit(self, status: EngineStatus) -> int:
        """The most jobs, at least 1, that this engine should run together now."""
        ...


class OneAtATime:
    """Every job runs alone: right wherever one job fills the device, such as a CPU."""

    def limit(self, status: EngineStatus) -> int:
        """Always 1."""
        return 1
