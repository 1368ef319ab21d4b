"""Many made-up requests to every address of the service, and how each door answered. No answer may be 500 or more.

    python -m benchmarks.fuzz_doors [--requests 100000] [--seed 1] [--minutes 60]

The service is the real one without its HTTP server, with the fast test engine, in a folder of its own. It ends after
so many minutes at the latest, and at Ctrl-C, with what came back until then. The exit status is 1 if an answer was 500
or more; those requests are shown.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from app.core.logs import configure_logs
from app.core.settings import LogLevel, Settings
from image_generation_service import build_service
from tests.doors.odd_requests import Sent, addresses, send
from tests.service.conftest import CATALOG, House

EVERY = 1000


def run(folder: Path, count: int, seed: int, minutes: float) -> Sent:
    """Send `count` requests, or for so many minutes; what came back."""
    (folder / "models" / "pocket").mkdir(parents=True)
    (folder / "models" / "catalog.toml").write_text(CATALOG)
    (folder / "data").mkdir()
    settings = Settings(
        data_folder=folder / "data", models_folder=folder / "models", output_folder=folder / "output",
        logs_folder=folder / "logs", engine="test", preload=False, offline=True, max_queue=20, max_images=2,
    )  # fmt: skip
    service = build_service(settings)
    service.start()
    house, began, sent = House(service, service.app.test_client()), time.monotonic(), Sent()
    try:
        known = [house.image(num_inference_steps=1)["id"], house.submit()["id"], "pocket", "other"]
        print(f"{len(addresses(service.app))} addresses")
        for number, sent in enumerate(send(service.app, count, seed, known), start=1):
            if number % EVERY == 0:
                seconds = time.monotonic() - began
                print(f"{number} requests, {seconds:.0f} s, {len(sent.ours)} answers of 500 or more", flush=True)
            if time.monotonic() - began > minutes * 60:
                break
    except KeyboardInterrupt:
        pass
    finally:
        service.stop(drain_s=0)
    return sent


def report(sent: Sent) -> str:
    """A table of doors and statuses."""
    statuses = sorted({status for _, status in sent.counts})
    lines = ["| door | " + " | ".join(map(str, statuses)) + " | all |", "|---" * (len(statuses) + 2) + "|"]
    for door in sorted({door for door, _ in sent.counts}):
        row = [sent.counts[door, status] for status in statuses]
        lines.append(f"| {door} | " + " | ".join(map(str, [*row, sum(row)])) + " |")
    return "\n".join([*lines, "", f"{sent.counts.total()} requests, {len(sent.ours)} answers of 500 or more"])


def main() -> int:
    """Read the arguments, send, report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    configure_logs(LogLevel.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        sent = run(Path(folder), options.requests, options.seed, options.minutes)
    print(report(sent))
    print("\n".join(sent.ours[:50]))
    return 1 if sent.ours else 0


if __name__ == "__main__":
    sys.exit(main())
