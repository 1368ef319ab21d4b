"""Out of memory is an event, not an end: real pipelines in a real child whose memory runs out on demand."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.catalog import Catalog
from app.core.settings import Settings
from app.engine.base import Work
from app.engine.local import LocalEngine
from tests.engine.conftest import a_job
from tests.engine.watching import Result, ignore, made_by, nobody
from tests.pipelines import catalog_toml, make_tiny_sd

MIB = 2**20


class Short:
    """An engine, and the file by which its memory is made to run out."""

    def __init__(self, folder: Path) -> None:
        models = folder / "models"
        make_tiny_sd(models / "tiny")
        catalog_toml(models, tiny={"title": "Tiny", "path": "tiny", "width": 64, "height": 64})
        self.file = folder / "told.json"
        settings = Settings(models_folder=models, default_model="tiny", device="cpu", previews_per_s=0)
        command = [sys.executable, "-m", "tests.engine.short_of_memory", str(self.file)]
        self.engine = LocalEngine("cpu", settings=settings, catalog=Catalog(settings), command=command)
        self.tell()

    def tell(self, error: str = "cuda", **counts: int) -> None:
        """So many calls fail from now on."""
        self.file.write_text(json.dumps({"error": error, **counts}))

    def run(self, **values: object) -> Result:
        """One job's outcome."""
        [outcome] = made_by(self.engine, [self.job(**values)], ignore, nobody)
        return outcome

    def job(self, **values: object) -> Work:
        return a_job(entry=self.engine._catalog.get("tiny"), **values)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Short]:
    """One for all tests here: its child needs seconds to import torch."""
    found = Short(tmp_path_factory.mktemp("short"))
    yield found
    found.engine.close()


@pytest.fixture
def fresh(short: Short) -> Short:
    """The same, with nothing loaded and enough memory."""
    short.tell()
    short.engine.unload("tiny")
    return short


@pytest.mark.parametrize("error", ["cuda", "cpu", "python"])
def test_a_picture_that_ran_out_of_memory_is_made_one_tier_lower_and_says_so(fresh: Short, error: str) -> None:
    usual = fresh.run().pictures[0]
    assert usual.how["memory"].startswith("resident")
    assert "retried" not in usual.how
    pid = fresh.engine.status().pid
    fresh.tell(error, denoise=1)
    again = fresh.run().pictures[0]
    assert again.how["memory"].startswith("released")
    assert again.how["retried"] == "out of memory with resident; made again with released"
    assert again.rgb == usual.rgb  # this tier loses nothing
    after = fresh.run().pictures[0]
    assert after.rgb == usual.rgb
    assert after.how["memory"].startswith("released")  # it stays: it costs no pixels
    assert "retried" not in after.how
    assert fresh.engine.status().pid == pid


def test_a_job_that_runs_out_of_memory_twice_fails_with_what_would_help_and_the_next_one_works(fresh: Short) -> None:
    usual = fresh.run(seed=3)
    pid = fresh.engine.status().pid
    fresh.tell(denoise=2)
    failed = fresh.run(num_images=2)
    assert failed.error is not None
    assert failed.error.code == "out_of_memory"
    assert "64x64" in failed.error.message
    assert failed.error.hint is not None
    for words in ("smaller size", "fewer images", "ATELIER_MEMORY_TIER=", "smaller model"):
        assert words in failed.error.hint
    after = fresh.run(seed=3)
    assert after.pictures[0].rgb == usual.pictures[0].rgb
    assert after.pictures[0].how["memory"].startswith("resident")
    assert fresh.engine.status().pid == pid


def test_only_the_pictures_that_ran_out_are_made_again(fresh: Short) -> None:
    usual = [fresh.run(seed=seed).pictures[0].rgb for seed in (1, 2)]
    fresh.tell(denoise=1)
    first, second = made_by(fresh.engine, [fresh.job(seed=1), fresh.job(seed=2)], ignore, nobody)
    assert [outcome.pictures[0].rgb for outcome in (first, second)] == usual
    assert "retried" in first.pictures[0].how
    assert "retried" not in second.pictures[0].how


def test_a_model_that_does_not_fit_is_loaded_one_tier_lower(fresh: Short) -> None:
    usual = fresh.run().pictures[0].rgb
    fresh.engine.unload("tiny")
    fresh.tell("cpu", load=1)
    made = fresh.run().pictures[0]
    assert made.rgb == usual
    assert made.how["retried"] == "out of memory while loading with resident; loaded again with released"
    fresh.engine.unload("tiny")
    fresh.tell("cpu", load=2)
    failed = fresh.run()
    assert failed.error is not None
    assert (failed.error.code, bool(failed.error.hint)) == ("out_of_memory", True)
    assert fresh.run().pictures[0].rgb == usual


def test_what_ran_out_of_memory_at_the_vae_is_decoded_in_tiles_this_once(fresh: Short) -> None:
    usual = fresh.run().pictures[0]
    fresh.tell(decode=1)
    tiled = fresh.run().pictures[0]
    assert tiled.how["retried"] == "out of memory with resident; made again with resident, VAE tiling"
    assert tiled.how["memory"].endswith("VAE decodes in tiles (changes pixels slightly)")
    assert tiled.rgb == usual.rgb  # 64x64 is less than one tile
    after = fresh.run().pictures[0]
    assert after.how["memory"] == usual.how["memory"]


@pytest.mark.slow
def test_ten_jobs_out_of_memory_leave_the_child_as_large_as_it_was(fresh: Short) -> None:
    child = psutil.Process(fresh.engine.status().pid)
    sizes = []
    for _ in range(10):
        fresh.tell(denoise=2)
        assert (fresh.run().error or fresh.job()).code == "out_of_memory"
        sizes.append(child.memory_info().rss)
    assert max(sizes[5:]) - max(sizes[:5]) < 8 * MIB
    fresh.tell()
    assert fresh.run().pictures
