"""What /metrics says of queue, engines and disk: asked at each scrape, so that it cannot drift from the truth."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from app import __version__
from app.core.schema import JobState
from app.jobs.tally import Spread
from app.service.parts import Parts


class PartsCollector(Collector):
    """Asks table, dispatcher and library. On a table of several services `atelier_jobs…` are of all of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterable[Metric]:
        """Everything there is to know now."""
        yield GaugeMetricFamily("atelier_start_time_seconds", "When this service began.", self._parts.started)
        build = GaugeMetricFamily("atelier_build_info", "Which version this is.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield from self._queue()
        yield from self._engines()
        yield from self._work()
        yield from self._room()

    def _queue(self) -> Iterator[Metric]:
        counts = self._parts.jobs.counts()
        by_state = GaugeMetricFamily("atelier_jobs", "Jobs in the table.", labels=["state"])
        for state in JobState:
            by_state.add_metric([state.value], counts.get(state, 0))
        yield by_state
        yield GaugeMetricFamily("atelier_queue_length", "Jobs that wait.", counts.get(JobState.QUEUED, 0))
        yield GaugeMetricFamily("atelier_queue_limit", "Jobs that may wait.", self._parts.settings.max_queue)
        by_model = self._parts.jobs.waiting_by_model()
        waiting = GaugeMetricFamily("atelier_jobs_waiting", "Jobs that wait, by model.", labels=["model"])
        for model, (number, _) in by_model.items():
            waiting.add_metric([model], number)
        yield waiting
        oldest = max((age_s for _, age_s in by_model.values()), default=0.0)
        yield GaugeMetricFamily("atelier_queue_oldest_seconds", "How long the oldest job has waited.", oldest)
        yield GaugeMetricFamily(
            "atelier_queue_paused", "1 while nothing is started.", int(self._parts.dispatcher.paused)
        )
        yield GaugeMetricFamily("atelier_services", "Services on this table.", self._parts.jobs.services())
        problems = len(self._parts.dispatcher.problems())
        yield GaugeMetricFamily("atelier_engine_problems", "Reasons for which engines take no jobs now.", problems)

    def _engines(self) -> Iterator[Metric]:
        status = self._parts.dispatcher.status()
        restarts = CounterMetricFamily("atelier_engine_restarts", "Engine processes replaced.", labels=["device"])
        alive = GaugeMetricFamily("atelier_device_alive", "1 if its engine is there.", labels=["device"])
        busy = GaugeMetricFamily("atelier_device_busy", "1 while it works.", labels=["device"])
        used = GaugeMetricFamily("atelier_device_memory_used_bytes", "Its memory in use.", labels=["device"])
        total = GaugeMetricFamily("atelier_device_memory_total_bytes", "Its memory.", labels=["device"])
        loaded = GaugeMetricFamily("atelier_model_loaded", "1 for each model in memory.", labels=["device", "model"])
        for engine in status:
            restarts.add_metric([engine.device], engine.restarts)
            alive.add_metric([engine.device], int(engine.alive))
            busy.add_metric([engine.device], int(engine.busy))
            if engine.memory_used_bytes is not None:
                used.add_metric([engine.device], engine.memory_used_bytes)
            if engine.memory_total_bytes is not None:
                total.add_metric([engine.device], engine.memory_total_bytes)
            for model in engine.loaded_models:
                loaded.add_metric([engine.device, model], 1)
        yield from (restarts, alive, busy, used, total, loaded)

    def _work(self) -> Iterator[Metric]:
        done = self._parts.dispatcher.tally.now()
        waits = "From submit to the first start, by model."
        yield _histogram("atelier_job_wait_seconds", waits, ["model"], _in_tuples(done.waits))
        runs = "Working time of jobs whose pictures were made here."
        yield _histogram("atelier_job_run_seconds", runs, ["model", "device"], done.runs)
        batches = "Pictures asked for in one run of an engine."
        yield _histogram("atelier_batch_pictures", batches, ["device"], _in_tuples(done.batches))
        crashes = CounterMetricFamily("atelier_engine_crashes", "Engines that died under work.", labels=["device"])
        for device, number in done.crashes.items():
            crashes.add_metric([device], number)
        yield crashes

    def _room(self) -> Iterator[Metric]:
        room = self._parts.library.room
        yield GaugeMetricFamily("atelier_library_bytes", "What all pictures take.", room.used_bytes())
        if room.max_bytes is not None:
            yield GaugeMetricFamily("atelier_library_limit_bytes", "What they may take.", room.max_bytes)
        free = room.free_bytes()
        if free is not None:
            yield GaugeMetricFamily("atelier_disk_free_bytes", "What the disk of the pictures has left.", free)


def _histogram(name: str, says: str, labels: list[str], spreads: Mapping[Any, Spread]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, says, labels=labels)
    for values, spread in spreads.items():
        bounds = [*(str(float(bound)) for bound in spread.bounds), "+Inf"]
        rising = accumulate(spread.counts)
        family.add_metric(list(values), list(zip(bounds, rising, strict=True)), spread.total)
    return family


def _in_tuples(spreads: Mapping[str, Spread]) -> dict[tuple[str], Spread]:
    return {(name,): spread for name, spread in spreads.items()}
