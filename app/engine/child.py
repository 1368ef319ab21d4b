"""The child process that makes real pictures: `python -m app.engine.child OPTIONS FD`. The engine's only file that
reaches torch; the service never imports it."""

from collections.abc import Sequence
from pathlib import Path

import psutil

from app.catalog import ModelEntry
from app.core.errors import AtelierError, GenerationCancelled
from app.core.settings import MachineSize, Tier
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate_batch
from app.diffusion.machine import memory
from app.diffusion.made import Made
from app.diffusion.pulse import pulse
from app.engine.base import Outcome
from app.engine.loop import Options, Report, Work, job_error, serve


class PipelineMaker:
    """Makes pictures with the diffusers pipelines of `app.diffusion`."""

    def __init__(self, options: Options) -> None:
        size = MachineSize(options.machine_size) if options.machine_size else None
        tier = Tier(options.memory_tier) if options.memory_tier else None
        self._cache = ModelCache(options.device, machine_size=size, tier=tier)
        self.name = str(self._cache.device)

    def make(self, work: Sequence[Work], entry: ModelEntry, folder: Path, report: Report) -> list[Outcome]:
        """See `Maker`."""

        def on_step(index: int, step: int, of: int, preview: bytes | None) -> None:
            report.step(work[index].job_id, step, of, preview)

        loaded = self._cache.load(entry, folder, report.loading)
        report.alive()
        with pulse(report.alive):
            results = generate_batch(
                loaded,
                [item.request for item in work],
                on_step=on_step,
                cancelled=lambda index: work[index].cancelled.is_set(),
                wants_preview=lambda index: report.wants_preview(work[index].job_id),
                cache=self._cache,
            )
        return [_outcome(item.job_id, made) for item, made in zip(work, results, strict=True)]

    def load(self, entry: ModelEntry, folder: Path, report: Report) -> None:
        """See `Maker`."""
        self._cache.load(entry, folder, report.loading)

    def unload(self, key: str) -> bool:
        """See `Maker`."""
        return self._cache.unload(key)

    def loaded(self) -> tuple[str, ...]:
        """See `Maker`."""
        return self._cache.loaded()

    def memory(self) -> tuple[int | None, int | None]:
        """See `Maker`. A GPU's memory as all its users see it; on a CPU what this process uses."""
        free, total = memory(self._cache.device)
        used = total - free if self._cache.device.type == "cuda" else psutil.Process().memory_info().rss
        return used, total


def _outcome(job_id: str, made: Made) -> Outcome:
    if isinstance(made.error, GenerationCancelled):
        return Outcome(job_id, cancelled=True, seconds=made.seconds)
    if isinstance(made.error, AtelierError):
        return Outcome(job_id, error=job_error(made.error), seconds=made.seconds)
    return Outcome(job_id, made.pictures, seconds=made.seconds)


if __name__ == "__main__":
    serve(PipelineMaker)
