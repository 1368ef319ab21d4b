"""The drop folder under stress: 1,000 prompt files, two watchers, ten kills; then its latency.

    python -m benchmarks.drop_folder [--files 1000] [--kills 10] [--deletes 50]

Everything runs on this machine, in a temporary folder, with the fast test engine. A kill is `kill -9` of one watcher,
of the whole service, or of all at once; every fourth is a drop folder without any room for six seconds, where a small
disk may be mounted for it. So many of the newest pictures are deleted in the library meanwhile, as its owner may:
their prompt files have an error file that says so, if they were not delivered before. Ends with status 1 if an answer
is missing, doubled or anything is left over.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

from app.client import ImageServiceClient
from app.core.errors import ServiceError
from benchmarks.soak.disk import fill, small_disk
from tests.running import ROOT
from tests.system.victim import Victim


def main() -> int:
    """Run both parts and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--deletes", type=int, default=50)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started and mounted is ended too
    with (
        tempfile.TemporaryDirectory() as name,
        small_disk(Path(name) / "disk", 64) as disk,
        Victim(Path(name) / "service") as service,
    ):
        folder = (disk or Path(name)) / "stress"
        failed = stress(folder, disk, service, options.files, options.kills, options.deletes)
        latency(Path(name) / "latency", service.client)
    return int(failed)


def stress(folder: Path, disk: Path | None, service: Victim, count: int, kills: int, deletes: int) -> bool:
    """All files at once before two watchers; watchers and service die at random. True if something went wrong."""
    folder.mkdir()
    chance = random.Random(1)
    stems = [drop(folder, f"cat {number}") for number in range(count)]
    began = time.monotonic()
    watchers: list[subprocess.Popen[bytes]] = []
    killed: Counter[str] = Counter()
    done, deleted = threading.Event(), set[str]()
    owner = threading.Thread(target=delete_newest, args=(service.client, deletes, deleted, done), daemon=True)
    owner.start()
    try:
        for _ in range(2):
            watchers.append(start(folder, service.url))
        while len(answers_in(folder)) < count and time.monotonic() - began < 60 + count:
            time.sleep(chance.uniform(0.5, 2.5))
            if killed.total() < kills:
                way = chance.choice(("watcher", "watcher", "service", "all"))
                if disk is not None and killed.total() % 4 == 3:
                    way = "full disk"
                    fill(disk)
                else:
                    kill(way, chance.randrange(2), watchers, folder, service)
                killed[way] += 1
        settle(folder)
    finally:
        done.set()
        owner.join(60)
        for watcher in watchers:
            watcher.terminate()
            watcher.wait(30)
    pictures, errors = (len(list(folder.glob(pattern))) for pattern in ("*.png", "*-error.txt"))
    told = [path for path in folder.glob("*-error.txt") if "deleted from the library" in path.read_text()]
    answered = all((folder / f"{stem}.png").exists() != (folder / f"{stem}-error.txt").exists() for stem in stems)
    left = [path.name for path in folder.iterdir() if path not in answers_in(folder) and ".watcher-" not in path.name]
    made = number_of_images(service.client) + len(deleted)
    print(f"files {count}, kills {dict(killed)}, pictures {pictures}, deleted {len(deleted)}, of these too soon "
          f"{len(told)}, other errors {errors - len(told)}, pictures made {made}, "
          f"left over {left or 'nothing'}, {time.monotonic() - began:.1f} s")  # fmt: skip
    return not (answered and made == count and errors == len(told) and not left)


def answers_in(folder: Path) -> set[Path]:
    """Pictures and errors."""
    return {*folder.glob("*.png"), *folder.glob("*-error.txt")}


def kill(way: str, number: int, watchers: list[subprocess.Popen[bytes]], folder: Path, service: Victim) -> None:
    """One watcher, the service, or all at once; and another in place of each."""
    victims = {"watcher": [number], "service": [], "all": [0, 1]}[way]
    for victim in victims:
        watchers[victim].kill()
    if way != "watcher":
        service.kill_all()
    for victim in victims:
        watchers[victim].wait()
        watchers[victim] = start(folder, service.url)
    if way != "watcher":
        service.start(300)


def delete_newest(client: ImageServiceClient, most: int, deleted: set[str], done: threading.Event) -> None:
    """Delete the newest picture again and again, as an owner might who looks at the library."""
    doomed: list[str] = []
    while doomed or (len(deleted) < most and not done.wait(0.05)):
        try:
            doomed = doomed or [image.id for image in client.images(limit=1)[0]]
            for image_id in doomed:
                client.delete_image(image_id)
                deleted.add(image_id)
            doomed = []
        except ServiceError:  # it was killed, perhaps after the deed: deleting twice is fine
            continue


def latency(folder: Path, client: ImageServiceClient, count: int = 30) -> None:
    """From the moment a file is there to the moment its job is accepted, and to the picture."""
    folder.mkdir()
    watcher = start(folder, client.url)
    accepted, answered = [], []
    try:
        time.sleep(3)
        for number in range(count):
            prompt = f"latency {number} {uuid.uuid4()}"
            at = time.time()
            stem = drop(folder, prompt)
            while not (folder / f"{stem}.png").exists():
                time.sleep(0.005)
            answered.append(time.time() - at)
            [image] = client.images(q=prompt)[0]
            accepted.append(client.job(image.job_id).created_at.timestamp() - at)
    finally:
        watcher.terminate()
        watcher.wait(30)
    print(f"file to job  p50 {statistics.median(accepted) * 1000:.0f} ms, max {max(accepted) * 1000:.0f} ms")
    print(f"file to PNG  p50 {statistics.median(answered) * 1000:.0f} ms (test engine)")


def drop(folder: Path, prompt: str) -> str:
    """Write a prompt file; its stem."""
    stem = f"{uuid.uuid4()}-1-64x64"
    part = folder / f"{stem}.part"
    part.write_text(prompt)
    part.rename(folder / f"{stem}.txt")
    return stem


def start(folder: Path, url: str) -> subprocess.Popen[bytes]:
    """A watcher process."""
    command = [sys.executable, "-m", "app", "watch", str(folder), "--url", url, "--dead-after", "3"]
    return subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stderr=subprocess.DEVNULL)


def settle(folder: Path, patience_s: float = 60) -> None:
    """Wait until no prompt file and no claim is left, nor what a killed watcher had half written (swept after 30 s)."""
    deadline = time.monotonic() + patience_s
    while {*folder.glob("*.txt*"), *folder.glob(".atelier-*")} - answers_in(folder) and time.monotonic() < deadline:
        time.sleep(0.1)


def number_of_images(client: ImageServiceClient) -> int:
    """How many pictures the library has."""
    count, cursor = 0, None
    while True:
        page, cursor = client.images(limit=100, cursor=cursor)
        count += len(page)
        if cursor is None:
            return count


if __name__ == "__main__":
    sys.exit(main())
