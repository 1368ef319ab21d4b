"""One soak from start to end: the studio, its callers, what breaks, what is measured, what must be true after it."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from app.core.errors import ServiceError
from benchmarks.soak.breaking import Breaker
from benchmarks.soak.browser import keep_browsing
from benchmarks.soak.callers import CALLERS, Studio, keep_calling
from benchmarks.soak.disk import small_disk
from benchmarks.soak.samples import Drift, Sampler, Watched, drifts
from tests.running import ROOT, RunningPage
from tests.system.history import check_files, check_history
from tests.system.victim import ENGINE_MODULES, Victim, wait_until
from tests.ui.browser import CHROMIUM

QUIET = "quiet"  # the phase in which nothing is killed and everything must stay flat
MODELS = ("one", "two", "three")
CATALOG = "".join(
    f'[{key}]\ntitle = "{key}"\npath = "{key}"\nsize_range = {{ low = 64, high = 512, multiple = 8 }}\n'
    for key in MODELS
)
END_S = 300.0


@dataclass
class Outcome:
    """What happened. `wrong` and the drifts that are not flat are failures."""

    done: Counter[str]
    put_off: Counter[str]
    broken: Counter[str]
    back_s: list[float]
    states: Counter[str]
    browser_pictures: int
    undelivered: int
    orphans: int
    drifts: list[Drift]
    rows: list[dict[str, float | str]]
    full_disk: bool
    wrong: list[str] = field(default_factory=list)


def soak(
    folder: Path, *, minutes: float, seed: int, csv: Path, engine: str = "test", pause_s: float = 2.0, rounds: int = 3
) -> Outcome:
    """Run it. Raises AssertionError if a promise was broken; drifts are given back to be judged."""
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(folder / "disk", 96 + int(minutes * 16)))
        place = (disk or folder) / "service"
        place.mkdir(parents=True)
        models = MODELS if engine == "test" else ("pocket",)
        settings = {} if engine != "test" else {"MODELS_FOLDER": str(_catalog(folder)), "DEFAULT_MODEL": "one"}
        service = stack.enter_context(Victim(place, ENGINE=engine, **settings))
        page = stack.enter_context(RunningPage(folder / "page", service.url))
        drop = folder / "drop"
        drop.mkdir()
        watcher = stack.enter_context(_Watcher(drop, service.url))
        studio = Studio(service.url, drop, models, threading.Event())
        sampler = Sampler(_watched(service, page, watcher, drop), csv, every_s=min(10.0, minutes))
        breaker = Breaker(service, page, watcher.restart, disk, seed, rounds)
        made = _use(studio, sampler, breaker, page, minutes, seed, pause_s)
        return _judge(service, studio, sampler, breaker, watcher, made, folder / "thumbnails", disk is not None)


def _use(
    studio: Studio, sampler: Sampler, breaker: Breaker, page: RunningPage, minutes: float, seed: int, pause_s: float
) -> list[str]:
    """Callers and browser at work for so long: the first half is broken, the second quiet."""
    made: list[str] = []
    quiet = threading.Event()
    threads = [
        threading.Thread(target=keep_calling, args=(studio, caller, seed + place, pause_s), name=f"caller-{place}")
        for place, caller in enumerate(CALLERS)
    ]
    if CHROMIUM is not None:
        arguments = (page.url, studio.stop, quiet, made, studio.wrong)
        threads.append(threading.Thread(target=keep_browsing, args=arguments, name="browser"))
    began = time.monotonic()
    sampler.start()
    for thread in threads:
        thread.start()
    try:
        _break(sampler, breaker, began, minutes * 30)
        sampler.phase = "settling"
        _sleep_until(began + minutes * 36)
        quiet.set()
        sampler.phase = QUIET
        _sleep_until(began + minutes * 60)
    finally:
        studio.stop.set()
        for thread in threads:
            thread.join()
        sampler.stop()
    return made


def _break(sampler: Sampler, breaker: Breaker, began: float, seconds: float) -> None:
    sampler.phase = "broken"
    plan = breaker.plan()
    for place, way in enumerate(plan, start=1):
        _sleep_until(began + seconds * place / len(plan))
        breaker.do(way)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _judge(
    service: Victim, studio: Studio, sampler: Sampler, breaker: Breaker, watcher: "_Watcher", made: list[str],
    thumbnails: Path, full_disk: bool,
) -> Outcome:  # fmt: skip
    """With everybody gone: the line runs empty, all ends in order, and the history is checked."""
    watcher.stop()
    wait_until("the line is empty", lambda: _is_idle(service), END_S, 0.2)
    assert service.stop() == 0
    states = check_history(service.database_url, studio.promises)
    orphans = check_files(service.database_url, service.output_folder, thumbnails)
    found = drifts(sampler.rows, QUIET)
    return Outcome(
        studio.done, studio.put_off, breaker.done, breaker.back_s, states, len(made), len(studio.undelivered), orphans,
        found, sampler.rows, full_disk, studio.wrong,
    )  # fmt: skip


def _is_idle(service: Victim) -> bool:
    try:
        queue = service.client.status().queue
    except ServiceError:
        return False
    return bool(queue.queued + queue.running == 0)


def _catalog(folder: Path) -> Path:
    models = folder / "models"
    for key in MODELS:  # the test engine needs no files of them, but they must be there to be asked for
        (models / key).mkdir(parents=True)
    (models / "catalog.toml").write_text(CATALOG)
    return models


def _watched(service: Victim, page: RunningPage, watcher: "_Watcher", drop: Path) -> Watched:
    def processes() -> dict[str, list[psutil.Process]]:
        family = _family(service.pid)
        engines = [process for process in family if _is_engine(process)]
        return {
            "service": [process for process in family if process not in engines],
            "engine": engines,
            "page": _family(page.pid),
            "watcher": _family(watcher.pid),
        }

    def leftovers() -> int:
        """Files that are on their way: they must not pile up. The library's own pictures grow by right."""
        on_their_way = [*service.output_folder.rglob("*.tmp"), *drop.iterdir()]
        return len(on_their_way)

    def jobs() -> int:
        return sum(1 for _ in service.output_folder.glob("*/*.png"))

    return Watched(processes, leftovers, jobs)


def _family(pid: int | None) -> list[psutil.Process]:
    try:
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)] if pid else []
    except psutil.Error:
        return []


def _is_engine(process: psutil.Process) -> bool:
    try:
        return any(module in process.cmdline() for module in ENGINE_MODULES)
    except psutil.Error:
        return False


class _Watcher:
    """`python -m app watch` on the drop folder."""

    def __init__(self, folder: Path, url: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
        command = [sys.executable, "-m", "app", "watch", str(folder), "--url", url, "--dead-after", "3"]
        self._start: Callable[[], subprocess.Popen[str]] = partial(
            subprocess.Popen, command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
        )
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "_Watcher":
        self._process = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Of the running one."""
        return self._process.pid if self._process else None

    def restart(self) -> None:
        """`kill -9`, and another one."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = self._start()

    def stop(self) -> None:
        """SIGTERM and wait. Idempotent."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)
            self._process = None
