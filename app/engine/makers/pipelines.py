"""Makes real pictures, with torch and diffusers: `python -m app.engine.makers.pipelines OPTIONS FD` is the child.

The service never imports it.
"""

from collections.abc import Sequence
from pathlib import Path

import psutil

from app.catalog import ModelEntry
from app.core.errors import AtelierError, GenerationCancelled, ModelRefused
from app.core.picture import Picture
from app.core.schema import JobError
from app.core.settings import Compute, MachineSize, Tier
from app.core.task import Task
from app.diffusion.cache import ModelCache
from app.diffusion.compiled.choose import Computing
from app.diffusion.describe import describe_batch
from app.diffusion.describers import Describers
from app.diffusion.enlarge import enlarge_batch
from app.diffusion.finders import Finders
from app.diffusion.generate import make_batch
from app.diffusion.machine import memory
from app.diffusion.made import PassWatch
from app.diffusion.pulse import pulse
from app.diffusion.seers import seen_as_png
from app.engine.base import Inputs, Outcome, Work
from app.engine.loop import Options, Report, serve
from app.families import family_of


class PipelineMaker:
    """Makes pictures with the diffusers pipelines of `app.diffusion`."""

    def __init__(self, options: Options) -> None:
        size = MachineSize(options.machine_size) if options.machine_size else None
        tier = Tier(options.memory_tier) if options.memory_tier else None
        computing = Computing(Compute(options.compute), Path(options.compiled) if options.compiled else None)
        self._cache = ModelCache(options.device, machine_size=size, tier=tier, computing=computing)
        self._describers = Describers(self._cache.device)
        self._finders = Finders(self._cache.device)
        self.name = str(self._cache.device)

    def make(self, work: Sequence[Work], folder: Path, inputs: Inputs, report: Report) -> None:
        """See `Maker`."""
        if work[0].request.task is Task.UPSCALE:  # one task in all of them, as in all that shares a pass
            entry = work[0].entry
            by_model = family_of(entry.pipeline).only_enlarges
            upscaler = self._cache.upscaler(entry, folder, report.loading) if by_model else None
            report.alive()
            with pulse(report.alive):
                enlarge_batch([item.request for item in work], _Told(work, report), inputs, upscaler, self._cache)
            return
        if work[0].request.task is Task.DESCRIBE:
            report.loading("loading")
            describer, told = self._describers.load(work[0].entry, folder), _Told(work, report)
            report.alive()
            with pulse(report.alive):
                describe_batch([item.request for item in work], inputs, describer, told)
            return
        loaded = self._cache.load(work[0].entry, folder, report.loading)
        report.alive()
        with pulse(report.alive):
            wanted = [(item.request, item.images) for item in work]
            make_batch(loaded, wanted, _Told(work, report), cache=self._cache, pictures=inputs)

    def load(self, entry: ModelEntry, folder: Path, report: Report) -> None:
        """See `Maker`."""
        if family_of(entry.pipeline).only_enlarges:
            report.loading("loading")
            self._cache.upscaler(entry, folder, report.loading)
            report.loading("loaded")
            return
        if Task.DESCRIBE in family_of(entry.pipeline).tasks:
            report.loading("loading")
            self._describers.load(entry, folder)
            report.loading("loaded")
            return
        if family_of(entry.pipeline).only_controls or family_of(entry.pipeline).only_sees:
            raise ModelRefused(f"{entry.title} is loaded with the model whose picture it holds, when a job names it.")
        self._cache.load(entry, folder, report.loading)

    def look(
        self, entry: ModelEntry, folder: Path, pictures: Sequence[bytes], words: str, report: Report
    ) -> list[bytes]:
        """See `Maker`."""
        report.loading("loading")
        if family_of(entry.pipeline).sees:
            seer = self._cache.seer(entry, folder)
            report.alive()
            with pulse(report.alive):
                return [seen_as_png(seer, file) for file in pictures]
        finder = self._finders.load(entry, folder)
        report.alive()
        with pulse(report.alive):
            return [finder.of_picture(each) for each in pictures] + ([finder.of_words(words)] if words else [])

    def unload(self, key: str) -> bool:
        """See `Maker`."""
        return self._cache.unload(key) or self._describers.unload(key)

    def loaded(self) -> tuple[str, ...]:
        """See `Maker`."""
        return (*self._cache.loaded(), *self._describers.loaded())

    def memory(self) -> tuple[int | None, int | None]:
        """See `Maker`. A GPU's memory as all its users see it; on a CPU what this process uses."""
        free, total = memory(self._cache.device)
        used = total - free if self._cache.device.type == "cuda" else psutil.Process().memory_info().rss
        return used, total


class _Told(PassWatch):
    """Tells the report by job what the passes tell by place."""

    def __init__(self, work: Sequence[Work], report: Report) -> None:
        self._ids = [item.job_id for item in work]
        self._report = report

    def step(self, index: int, step: int, of: int, preview: bytes | None) -> None:
        self._report.step(self._ids[index], step, of, preview)

    def picture(self, index: int, picture: Picture) -> None:
        self._report.picture(self._ids[index], picture)

    def ended(self, index: int, error: AtelierError | None, seconds: float, text: str | None = None) -> None:
        cancelled = isinstance(error, GenerationCancelled)
        failure = JobError.of(error) if error and not cancelled else None
        self._report.ended(self._ids[index], Outcome(failure, cancelled, seconds, text))

    def cancelled(self, index: int) -> bool:
        return self._report.cancelled(self._ids[index])

    def wants_preview(self, index: int) -> bool:
        return self._report.wants_preview(self._ids[index])


if __name__ == "__main__":
    serve(PipelineMaker)
