"""The full kill loop: `python -m benchmarks.kill_loop [--jobs 300] [--engine-kills 20] [--service-kills 9]`.

First with the fast test engine (`--postgres`: two services with clocks that disagree, on a PostgreSQL of its own that
crashes once and comes back; `--bucket-kills`: with a bucket whose server is killed in the middle of writes), then ten
jobs of the shipped model with 3 kills. Every accepted job must end succeeded with each of its pictures once; the file
must be the one that was hashed; the pixels must be those of an undisturbed run. Ends with a traceback and status 1 if
not.
"""

import argparse
import io
import os
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from PIL import Image

from app.core.schema import GenerationRequest
from app.engine.makers.testing import draw
from app.storage.bucket import Bucket
from tests.buckets import BUCKET, S3Server
from tests.jobs.postgres import an_empty_database, own_server
from tests.system.history import Draw, check_answers, check_files, check_table
from tests.system.kill_loop import KillLoop
from tests.system.pair import Pair
from tests.system.victim import Victim

REAL_JOBS = 10
REAL_KILLS = 3
URL = f"s3://{BUCKET}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both loops and print what happened."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--engine-kills", type=int, default=20)
    parser.add_argument("--service-kills", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1, help="of the requests and of the moments of the kills")
    parser.add_argument("--model", default="pocket", help="of the second loop; empty = no second loop")
    parser.add_argument("--postgres", action="store_true", help="the first loop by two services on PostgreSQL")
    parser.add_argument("--bucket-kills", type=int, default=0, help="with --postgres: pictures in a bucket")
    options = parser.parse_args(arguments)
    if options.bucket_kills and not options.postgres:
        parser.error("--bucket-kills goes with --postgres")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the service is ended too
    with tempfile.TemporaryDirectory() as name:
        with ExitStack() as stack:
            victim: Victim | Pair
            restart_database, bucket = None, None
            if options.postgres:
                server = stack.enter_context(own_server())
                database_url = stack.enter_context(an_empty_database(server.url, "kill_loop"))
                restart_database = server.restart
                if options.bucket_kills:
                    bucket = stack.enter_context(S3Server(Path(name) / "s3"))
                    os.environ.update(bucket.environment)  # for the check at the end
                    pair = Pair(Path(name) / "fast", database_url, bucket.environment, OUTPUT_BUCKET=URL)
                else:
                    pair = Pair(Path(name) / "fast", database_url)
                victim = stack.enter_context(pair)
            else:
                victim = stack.enter_context(Victim(Path(name) / "fast"))
            print("Fast test engine", "by two services on PostgreSQL" if options.postgres else "on SQLite")
            requests = _fast_requests(options.jobs, options.seed)
            interrupt = bucket.interrupt if bucket else None
            loop = KillLoop(
                victim, requests, seed=options.seed, restart_database=restart_database, interrupt_bucket=interrupt
            )
            _run(victim, loop, options.engine_kills, options.service_kills, draw, bucket, options.bucket_kills)
        if options.model:
            print(f"Model {options.model}")
            requests = real_requests(options.model)
            undisturbed = undisturbed_pixels(Path(name) / "undisturbed", requests)
            with Victim(Path(name) / "real", ENGINE="local") as victim:
                loop = KillLoop(victim, requests, seed=options.seed)
                _run(victim, loop, REAL_KILLS, 0, lambda request, index: undisturbed[request.seed + index])
    return 0


def _run(
    victim: Victim | Pair,
    loop: KillLoop,
    engine_kills: int,
    service_kills: int,
    expected: Draw,
    bucket: S3Server | None = None,
    bucket_kills: int = 0,
) -> None:
    report = loop.run(engine_kills=engine_kills, service_kills=service_kills, bucket_kills=bucket_kills)
    check_answers(victim.client, loop.promises, expected)
    code = victim.stop()
    attempts = check_table(victim.database_url, loop.promises)
    store = Bucket(URL) if bucket else None
    folder = bucket.folder / BUCKET if bucket else victim.output_folder
    orphans = check_files(victim.database_url, folder, victim.folder / "thumbnails", store)
    pictures = sum(request.num_images for request in loop.promises.requests.values())
    print(f"  {len(loop.promises.ids)} jobs, {pictures} pictures in {report.seconds:.1f} s")
    print(f"  {report.engine_kills} engine kills, service kills {report.service_kills}, back after {report.back_s} s")
    print(f"  {report.database_restarts} restarts of PostgreSQL, {report.bucket_kills} kills of the bucket's server")
    print(f"  {report.doubled_submits} submits sent twice, {report.refused_submits} had to be tried again")
    print(f"  attempts {dict(sorted(attempts.items()))}; {orphans} files of crashed attempts removed; exit code {code}")
    print("  lost 0, doubled 0, wrong hash 0, other pixels 0, files without a row 0, events with a gap 0")
    assert code == 0


def _fast_requests(count: int, seed: int) -> list[GenerationRequest]:
    dice = random.Random(seed)
    return [
        GenerationRequest(
            prompt=f"picture {number}",
            model="pocket",
            num_inference_steps=dice.randint(5, 25),
            width=64,
            height=64,
            seed=number * 10,
            num_images=dice.randint(1, 4),
        )
        for number in range(count)
    ]


def real_requests(model: str) -> list[GenerationRequest]:
    """Ten jobs of two pictures."""
    return [
        GenerationRequest(prompt=f"a red apple, number {number}", model=model, seed=number * 10, num_images=2)
        for number in range(REAL_JOBS)
    ]


def undisturbed_pixels(folder: Path, requests: Sequence[GenerationRequest]) -> dict[int, bytes]:
    """The pixels of each seed, made by a service that nobody kills."""
    pixels: dict[int, bytes] = {}
    with Victim(folder, ENGINE="local") as victim:
        for request in requests:
            for image in victim.client.generate(request).images:
                with Image.open(io.BytesIO(victim.client.image_bytes(image.id))) as picture:
                    pixels[image.seed] = picture.tobytes()
        victim.stop()
    return pixels


if __name__ == "__main__":
    sys.exit(main())
