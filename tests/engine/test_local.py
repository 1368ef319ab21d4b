"""What an engine gives: pictures, errors of their own job, events, and its state."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.errors import EngineUnavailable
from app.engine.base import EngineEvent, ModelEvent
from app.engine.local import LocalEngine
from app.engine.reach import child_environment
from tests.engine.conftest import MakeEngine, a_job
from tests.engine.watching import NoInputs, ignore, made_by, nobody


def test_a_job_gives_its_pictures_with_their_own_seeds(engine: LocalEngine) -> None:
    job = a_job(num_images=3, seed=40)
    [outcome] = made_by(engine, [job], ignore, nobody)
    assert outcome.job_id == job.job_id
    assert outcome.error is None
    assert [(picture.index, picture.seed) for picture in outcome.pictures] == [(0, 40), (1, 41), (2, 42)]
    assert {len(picture.rgb) for picture in outcome.pictures} == {64 * 64 * 3}
    assert outcome.pictures[0].how["model"] == "one"
    assert outcome.seconds > 0.016


def test_picture_i_of_a_job_equals_the_single_picture_of_seed_plus_i(engine: LocalEngine) -> None:
    [many] = made_by(engine, [a_job(num_images=3, seed=40)], ignore, nobody)
    [single] = made_by(engine, [a_job(seed=42)], ignore, nobody)
    assert many.pictures[2].rgb == single.pictures[0].rgb
    assert many.pictures[1].rgb != single.pictures[0].rgb


def test_the_outcomes_of_a_batch_come_in_the_order_of_its_jobs(engine: LocalEngine) -> None:
    jobs = [a_job(f"picture {number}") for number in range(5)]
    outcomes = made_by(engine, jobs, ignore, nobody)
    assert [outcome.job_id for outcome in outcomes] == [job.job_id for job in jobs]
    assert len({outcome.pictures[0].rgb for outcome in outcomes}) == 5


def test_a_run_tells_of_its_loading_and_of_every_step(engine: LocalEngine) -> None:
    job, events = a_job(), list[EngineEvent]()
    made_by(engine, [job], events.append, nobody)
    assert {event.job_id for event in events} == {job.job_id}
    assert [event.kind for event in events[:3]] == ["loading"] * 3
    assert [(event.step, event.of) for event in events if event.kind == "step"] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_previews_are_small_pictures_and_no_more_than_asked_for(make_engine: MakeEngine) -> None:
    few, none = list[EngineEvent](), list[EngineEvent]()
    made_by(make_engine(previews_per_s=10), [a_job(num_inference_steps=100)], few.append)
    made_by(make_engine(previews_per_s=0), [a_job(num_inference_steps=100)], none.append)
    previews = [event.preview for event in few if event.preview]
    assert 3 <= len(previews) <= 12
    assert all(preview.startswith(b"\xff\xd8") and len(preview) <= 2**16 for preview in previews)
    assert not any(event.preview for event in none)


@pytest.mark.parametrize(("word", "code"), [("!oom", "out_of_memory"), ("!error", "generation_failed")])
def test_an_error_of_one_job_spares_its_neighbour_and_the_child(engine: LocalEngine, word: str, code: str) -> None:
    engine.start()
    pid = engine.status().pid
    bad, good = made_by(engine, [a_job(f"apple {word}"), a_job()], ignore, nobody)
    assert bad.error is not None
    assert bad.error.code == code
    assert bad.pictures == ()
    assert len(good.pictures) == 1
    assert engine.status().pid == pid


def test_models_are_loaded_shown_and_freed(engine: LocalEngine) -> None:
    events = list[ModelEvent]()
    engine.load("two", events.append)
    assert [event.phase for event in events] == ["loading", "loading", "loaded"]
    assert events[1] == ModelEvent("two", "loading", 1, 2)
    engine.load("two", events.append)
    assert [event.phase for event in events[3:]] == ["loaded"]
    assert engine.status().loaded_models == ("two",)
    assert engine.unload("two") is True
    assert engine.unload("two") is False
    assert engine.status().loaded_models == ()


def test_nothing_is_started_before_it_is_needed(engine: LocalEngine) -> None:
    assert engine.unload("one") is False
    status = engine.status()
    assert (status.alive, status.pid, status.restarts) == (False, None, 0)


def test_the_status_knows_the_process_and_its_memory(engine: LocalEngine) -> None:
    made_by(engine, [a_job()], ignore, nobody)
    status = engine.status()
    assert status.alive
    assert not status.busy
    assert status.memory_used_bytes is not None
    assert 10**6 < status.memory_used_bytes < status.memory_total_bytes
    assert "app.engine.makers.testing" in Path(f"/proc/{status.pid}/cmdline").read_text()


def test_a_picture_of_forty_megabytes_comes_through(engine: LocalEngine) -> None:
    [outcome] = made_by(engine, [a_job(width=4096, height=3328, num_inference_steps=1)], ignore, nobody)
    assert len(outcome.pictures[0].rgb) == 4096 * 3328 * 3 > 40_000_000


def test_a_long_prompt_and_a_large_extra_do_no_harm(engine: LocalEngine) -> None:
    job = a_job("蘋" * 20_000, extra={"blob": "x" * 10**7})
    [outcome] = made_by(engine, [job], ignore, nobody)
    assert len(outcome.pictures) == 1


def test_a_child_that_cannot_start_says_why(make_engine: MakeEngine) -> None:
    engine = make_engine(command=[sys.executable, "-c", "raise SystemExit('no driver found')"])
    with pytest.raises(EngineUnavailable) as caught:
        made_by(engine, [a_job()], ignore, nobody)
    assert caught.value.hint == "no driver found"
    assert engine.status().restarts == 2


def test_a_closed_engine_makes_nothing(engine: LocalEngine) -> None:
    engine.start()
    pid = engine.status().pid
    engine.close()
    engine.close()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(EngineUnavailable, match="closed"):
        made_by(engine, [a_job()], ignore, nobody)


def test_an_exception_of_the_listener_comes_through_and_the_next_run_is_clean(engine: LocalEngine) -> None:
    def refuse(_event: EngineEvent) -> None:
        raise LookupError("the caller's own fault")

    with pytest.raises(LookupError):
        made_by(engine, [a_job()], refuse, nobody)
    job = a_job()
    assert made_by(engine, [job], ignore, nobody)[0].job_id == job.job_id


SEES_INPUTS = """
import sys
from app.engine.makers.testing import FastMaker, serve
class Looking(FastMaker):
    def make(self, work, folder, inputs, report):
        for item in work:
            print("it sees", [len(inputs.open(each.sha256)) for each in item.request.inputs], flush=True)
        super().make(work, folder, inputs, report)
serve(Looking, sys.argv[1:])
"""


def test_the_pictures_that_a_job_starts_from_come_as_bytes_and_one_that_is_gone_fails_its_job_alone(
    make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    class Kept(NoInputs):
        def open(self, sha256: str) -> bytes:
            return b"x" * 5000 if sha256 == "a" * 64 else super().open(sha256)

    caplog.set_level(logging.DEBUG)
    engine = make_engine(command=[sys.executable, "-c", SEES_INPUTS])
    there, gone = ([{"role": "image", "sha256": letter * 64}] for letter in "ab")
    work = [a_job(task="image", inputs=there), a_job(task="image", inputs=gone), a_job()]
    with_input, without, plain = made_by(engine, work, inputs=Kept())
    assert (with_input.error, plain.error) == (None, None)
    assert without.error is not None
    assert without.error.code == "unknown_input"
    assert "it sees [5000]" in caplog.text
    assert "it sees []" in caplog.text


def test_the_child_of_the_test_engine_never_sees_torch() -> None:
    code = "import sys; import app.engine.makers.testing; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_child_gets_what_computing_needs_and_nothing_else(tmp_path: Path) -> None:
    own = {
        "PATH": "/bin",
        "OMP_NUM_THREADS": "2",
        "MACHINE_SIZE": "tiny",
        "HOME": "/home/me",
        "HF_TOKEN": "s",
        "ATELIER_API_KEY": "s",
        "PGPASSWORD": "s",
        "TORCH_AUTH_TOKEN": "s",
    }
    kept = child_environment(own, tmp_path)
    assert {name: kept[name] for name in ("PATH", "OMP_NUM_THREADS", "MACHINE_SIZE")} == {
        "PATH": "/bin",
        "OMP_NUM_THREADS": "2",
        "MACHINE_SIZE": "tiny",
    }
    assert "s" not in kept.values()
    assert {kept[name] for name in ("HOME", "TMPDIR", "HF_HOME", "XDG_CACHE_HOME")} == {str(tmp_path)}
    assert kept["HF_HUB_OFFLINE"] == kept["DIFFUSERS_DISABLE_REMOTE_CODE"] == "1"
    assert kept["HF_HUB_CACHE"].endswith("hub")


def test_the_child_inherits_no_files_but_its_socket(engine: LocalEngine, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        engine.start()
        files = Path(f"/proc/{engine.status().pid}/fd").iterdir()
        opened = [os.readlink(file) for file in files]
    assert str(tmp_path / "secret") not in opened
    assert sum(name.startswith("socket:") for name in opened) == 1


def test_the_child_leaves_no_core_file(engine: LocalEngine) -> None:
    engine.start()
    limits = Path(f"/proc/{engine.status().pid}/limits").read_text()
    [line] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"]
