"""The drop folder under stress: 1,000 prompt files, two watchers, ten `kill -9` of watchers; then its latency.

    python -m benchmarks.drop_folder [--files 1000] [--kills 10]

Everything runs on this machine, in a temporary folder, with the fast test engine. Ends with status 1 if an answer
is missing, doubled or anything is left over.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from app.client import ImageServiceClient
from tests.running import ROOT, RunningService


def main() -> int:
    """Run both parts and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, RunningService(Path(name) / "service") as service:
        client = ImageServiceClient(service.url)
        failed = stress(Path(name) / "stress", client, options.files, options.kills)
        latency(Path(name) / "latency", client)
    return int(failed)


def stress(folder: Path, client: ImageServiceClient, count: int, kills: int) -> bool:
    """All files at once before two watchers that are killed at random moments. True if something went wrong."""
    folder.mkdir()
    chance = random.Random(1)
    stems = [drop(folder, f"cat {number}") for number in range(count)]
    began = time.monotonic()
    watchers = [start(folder, client.url) for _ in range(2)]
    killed = 0
    try:
        while len(list(folder.glob("*.png"))) < count and time.monotonic() - began < 60 + count:
            time.sleep(chance.uniform(0.5, 2.5))
            if killed < kills:
                victim = chance.randrange(2)
                watchers[victim].kill()
                watchers[victim].wait()
                watchers[victim] = start(folder, client.url)
                killed += 1
        settle(folder)
    finally:
        for watcher in watchers:
            watcher.terminate()
            watcher.wait(30)
    answers = len([stem for stem in stems if (folder / f"{stem}.png").exists()])
    errors = len(list(folder.glob("*-error.txt")))
    left = [path.name for path in folder.iterdir() if path.suffix != ".png" and ".watcher-" not in path.name]
    made = number_of_images(client)
    print(f"files {count}, kills {killed}, answers {answers}, errors {errors}, pictures made {made}, "
          f"left over {left or 'nothing'}, {time.monotonic() - began:.1f} s")  # fmt: skip
    return not (answers == made == count and errors == len(left) == 0)


def latency(folder: Path, client: ImageServiceClient, count: int = 30) -> None:
    """From the moment a file is there to the moment its job is accepted, and to the picture."""
    folder.mkdir()
    watcher = start(folder, client.url)
    time.sleep(3)
    accepted, answered = [], []
    try:
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
    while (list(folder.glob("*.txt*")) or list(folder.glob(".atelier-*"))) and time.monotonic() < deadline:
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
