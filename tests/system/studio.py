"""A studio that quick_start.sh keeps up, and killing of its parts one by one, and all at once."""

import os
import random
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from app.client import ImageServiceClient
from app.core.errors import ServiceError
from app.core.schema import Job
from tests.place import Place, installed, listens, wait_for
from tests.system.history import Promises
from tests.system.load_clock import LoadClock

WAYS = ("child", "worker", "arbiter", "page", "watcher", "all")


class Studio:
    """A studio that quick_start.sh keeps up: service, page and drop folder."""

    def __init__(self, place: Place, database_url: str | None = None) -> None:
        self.place = place
        self.database_url = database_url or f"sqlite:///{place.folder}/data/atelier.db"
        self.run = place.folder / "data" / "run"
        self.drop = place.folder / "drop"
        self.client = ImageServiceClient(f"http://127.0.0.1:{place.port}")

    def pids(self) -> dict[str, list[int]]:
        """Of each part, by the name of the way to kill it; empty while it is away."""
        service = self._pid("service")
        below = psutil.Process(service).children(recursive=True) if service else []
        engines = [process.pid for process in below if "app.engine.makers.testing" in process.cmdline()]
        parts = {
            "child": engines,
            "worker": [process.pid for process in below if process.pid not in engines],
            "arbiter": [service] if service else [],
            "page": self._pids("ui"),
            "watcher": self._pids("watcher"),
        }
        return parts | {"all": [pid for found in parts.values() for pid in found]}

    def is_back(self, killed: list[int]) -> bool:
        """Every part is there and takes work, in another process than those that were killed."""
        try:
            parts = self.pids()
            others = all(parts[name] and not set(parts[name]) & set(killed) for name in parts if name != "child")
            return others and self.client.ready() and listens(self.place.ui_port) and self._watches()
        except (ServiceError, psutil.Error):
            return False

    def ask(self, prompt: str) -> Path:
        """A prompt file; where its answer will be."""
        stem = f"{uuid.uuid4()}-1-64x64"
        part = self.drop / f"{stem}.part"
        part.write_text(prompt)
        part.rename(self.drop / f"{stem}.txt")
        return self.drop / f"{stem}.png"

    def _watches(self) -> bool:
        """The watcher that runs now has shown its heartbeat."""
        [pid] = self._pids("watcher")
        born = psutil.Process(pid).create_time()
        return any(beat.stat().st_mtime >= born - 1 for beat in self.drop.glob(".watcher-*"))

    def _pids(self, name: str) -> list[int]:
        pid = self._pid(name)
        return [pid] if pid else []

    def _pid(self, name: str) -> int | None:
        try:
            pid = int((self.run / f"{name}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE else None


@contextmanager
def a_studio(place: Place, **settings: str) -> Iterator[Studio]:
    """A studio that has come up; `settings` are environment variables. It ends by Ctrl-C, and leaves nothing."""
    installed(place)
    (place.folder / "drop").mkdir()
    running = Studio(place, settings.get("ATELIER_DATABASE_URL"))
    script = place.start(ATELIER_DROP_FOLDER=str(running.drop), **settings)
    try:
        wait_for(lambda: running.is_back([]), "the studio")
        yield running
        assert script.poll() is None, "the script ended because something under it did"
    finally:
        if script.poll() is None:
            os.kill(script.pid, signal.SIGINT)
            script.communicate(timeout=120)
        running.client.close()
    assert place.ours() == []


@dataclass
class Kills:
    """What was asked for, and how long each kill took to be mended (seconds of a machine that is not shared)."""

    promises: Promises = field(default_factory=Promises)
    answers: list[Path] = field(default_factory=list)
    back_s: dict[str, list[float]] = field(default_factory=dict)


def kill_every_way(studios: Sequence[Studio], times: int, *, seed: int) -> Kills:
    """Kill every part `times` times in an order of chance, each while jobs of two doors are under way.

    Of several studios each has its turn; `all` kills everything of every one of them at once. Gives back when all that
    was asked for is there; every job has its picture once.
    """
    kills = Kills()
    ways = list(WAYS) * times
    random.Random(seed).shuffle(ways)
    for number, way in enumerate(ways):
        studio = studios[number % len(studios)]
        _ask_both_doors(studio, number, kills)
        wait_for(lambda studio=studio: bool(studio.pids()["child"]), "an engine")
        killed = {each: each.pids()[way] for each in (studios if way == "all" else [studio])}
        with LoadClock() as clock:
            for pid in [pid for pids in killed.values() for pid in pids]:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda killed=killed: all(each.is_back(pids) for each, pids in killed.items()), f"after {way}")
            kills.back_s.setdefault(way, []).append(round(clock.seconds, 2))
    _wait_for_all(studios[0].client, kills)
    return kills


def _ask_both_doors(studio: Studio, number: int, kills: Kills) -> None:
    request = {"prompt": f"!slow picture {number}", "model": "pocket", "width": 64, "height": 64}
    key = f"kill-{number}"
    kills.promises.note(key, studio.client.submit(request | {"num_inference_steps": 3}, idempotency_key=key))
    kills.answers.append(studio.ask(f"dropped {number}"))


def _wait_for_all(client: ImageServiceClient, kills: Kills) -> None:
    def job(job_id: str) -> Job:
        wait_for(lambda: client.job(job_id).state.finished, f"the job {job_id}")
        return client.job(job_id)

    for job_id in kills.promises.ids.values():
        done = job(job_id)
        assert done.state == "succeeded", done.error
        assert [image.index for image in done.images] == [0]
    for answer in kills.answers:
        wait_for(answer.exists, "the answer in the drop folder")
    dropped = [f"dropped {number}" for number in range(len(kills.answers))]
    made = [image for prompt in dropped for image in client.images(q=prompt)[0] if image.prompt == prompt]
    assert sorted(image.prompt for image in made) == sorted(dropped), "a dropped prompt was drawn twice or not at all"
