"""`kill -9` of anything at any moment: no accepted picture is lost, doubled or different."""

import random
import statistics
from pathlib import Path

import pytest

from app.core.schema import GenerationRequest
from app.engine.makers.testing import draw
from app.storage.bucket import Bucket
from tests.buckets import BUCKET, S3Server
from tests.jobs.postgres import an_empty_database, own_server
from tests.system.history import check_answers, check_files, check_table
from tests.system.kill_loop import WAYS, KillLoop
from tests.system.pair import Pair
from tests.system.victim import Victim

BACK_S = 5.0  # of a machine that is not shared


def some_requests(count: int, *, seed: int) -> list[GenerationRequest]:
    """Requests of 20 to 80 ms with one to three pictures; every tenth prompt and seed comes twice."""
    dice = random.Random(seed)
    return [
        GenerationRequest(
            prompt=f"picture {number % (count * 9 // 10)}",
            model="one",
            num_inference_steps=dice.randint(5, 20),
            width=64,
            height=64,
            seed=number % (count * 9 // 10),
            num_images=dice.randint(1, 3),
        )
        for number in range(count)
    ]


@pytest.mark.slow
def test_what_was_accepted_is_made_once_whatever_is_killed(tmp_path: Path, models_folder: Path) -> None:
    with Victim(tmp_path / "service", MODELS_FOLDER=str(models_folder), DEFAULT_MODEL="one") as victim:
        loop = KillLoop(victim, some_requests(40, seed=5), seed=5)
        report = loop.run(engine_kills=4, service_kills=len(WAYS))
        check_answers(victim.client, loop.promises, draw)
        assert victim.stop() == 0
        attempts = check_table(victim.database_url, loop.promises)
        orphans = check_files(victim.database_url, victim.output_folder, tmp_path / "thumbnails")
    print(f"{report}; attempts {dict(attempts)}; {orphans} files of crashed attempts removed")
    assert report.engine_kills == 4
    assert sorted(report.service_kills) == sorted(WAYS)
    # One may have met a moment in which the clock saw less of the load than the services did.
    assert statistics.median(report.back_s) <= BACK_S
    assert max(report.back_s) <= 2 * BACK_S


@pytest.mark.postgres
@pytest.mark.slow
def test_two_services_whose_clocks_disagree_make_what_was_accepted_once_whatever_is_killed(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"MODELS_FOLDER": str(models_folder), "DEFAULT_MODEL": "one", "OUTPUT_BUCKET": f"s3://{BUCKET}"}
    with (
        own_server() as server,
        an_empty_database(server.url, "kill_loop") as url,
        S3Server(tmp_path / "s3") as bucket,
        Pair(tmp_path, url, bucket.environment, **settings) as pair,
    ):
        requests = some_requests(30, seed=7)
        loop = KillLoop(pair, requests, seed=7, restart_database=server.restart, interrupt_bucket=bucket.interrupt)
        report = loop.run(engine_kills=3, service_kills=len(WAYS), bucket_kills=1)
        check_answers(pair.client, loop.promises, draw)
        assert pair.stop() == 0
        attempts = check_table(url, loop.promises)
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        store = Bucket(settings["OUTPUT_BUCKET"])
        orphans = check_files(url, bucket.folder / BUCKET, tmp_path / "thumbnails", store)
        assert not pair.output_folder.exists()
    print(f"{report}; attempts {dict(attempts)}; {orphans} files of crashed attempts removed")
    assert (report.engine_kills, sorted(report.service_kills)) == (3, sorted(WAYS))
    assert (report.database_restarts, report.bucket_kills) == (1, 1)
    # One may have met a moment in which the clock saw less of the load than the services did.
    assert statistics.median(report.back_s) <= BACK_S
    assert max(report.back_s) <= 2 * BACK_S
