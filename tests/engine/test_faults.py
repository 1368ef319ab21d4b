"""What happens when the child dies, hangs, talks nonsense or does not hear a cancel."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.core.errors import EngineCrashed, EngineHung, EngineUnavailable
from app.engine.base import EngineEvent, Work
from app.engine.local import LocalEngine
from tests.engine.conftest import MakeEngine, a_job
from tests.engine.watching import Result, ignore, made_by, nobody

IDLE_START_S = 0.4  # what a child of the test engine takes on an idle machine of two cores

GARBAGE = """
import socket, sys, time
end = socket.socket(fileno=int(sys.argv[-1]))
end.sendall({bytes!r})
time.sleep({seconds})
"""


def works(engine: LocalEngine) -> bool:
    """True if a plain job gets its picture."""
    return len(made_by(engine, [a_job()], ignore, nobody)[0].pictures) == 1


def at_step(number: int, action: Callable[[], None]) -> Callable[[EngineEvent], None]:
    """A listener that acts once, at a step."""
    steps: list[int] = []

    def emit(event: EngineEvent) -> None:
        if event.kind == "step":
            steps.append(event.step)
            if len(steps) == number:
                action()

    return emit


def test_a_killed_child_costs_its_run_and_the_next_one_works(engine: LocalEngine) -> None:
    engine.start()
    pid = engine.status().pid
    with pytest.raises(EngineCrashed, match="signal 9"):
        made_by(engine, [a_job("!slow")], at_step(2, lambda: os.kill(pid, signal.SIGKILL)), nobody)
    assert engine.status().alive is False
    assert works(engine)
    assert engine.status().restarts == 1
    assert "signal 9" in engine.status().last_end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_leaves_the_child_to_its_parent(
    engine: LocalEngine, number: signal.Signals
) -> None:
    engine.start()
    pid = engine.status().pid
    sent = at_step(2, lambda: os.kill(pid, number))
    [outcome] = made_by(engine, [a_job("!slow", num_inference_steps=10)], sent, nobody)
    assert len(outcome.pictures) == 1
    assert works(engine)
    assert engine.status().pid == pid


def test_a_killed_child_is_replaced_within_two_seconds_of_an_idle_machine(make_engine: MakeEngine) -> None:
    """How busy the machine is, a start without any fault tells in the same minute."""
    starts = []
    for _ in range(3):
        began = time.monotonic()
        make_engine().start()
        starts.append(time.monotonic() - began)
    engine = make_engine()
    engine.start()
    pid = engine.status().pid
    killed: list[float] = []

    def kill() -> None:
        os.kill(pid, signal.SIGKILL)
        killed.append(time.monotonic())

    with pytest.raises(EngineCrashed):
        made_by(engine, [a_job("!slow")], at_step(2, kill), nobody)
    assert works(engine)
    assert time.monotonic() - killed[0] < 2 * max(1.0, max(starts) / IDLE_START_S)


def test_a_child_killed_between_two_runs_is_not_noticed_by_the_next(engine: LocalEngine) -> None:
    assert works(engine)
    pid = engine.status().pid
    os.kill(pid, signal.SIGKILL)
    while engine.status().alive:
        time.sleep(0.01)
    assert works(engine)
    assert engine.status().pid != pid


def test_a_poison_job_crashes_each_time_and_harms_nobody_else(engine: LocalEngine) -> None:
    for _ in range(3):
        with pytest.raises(EngineCrashed):
            made_by(engine, [a_job("apple !crash")], ignore, nobody)
    assert works(engine)


def test_a_child_that_falls_silent_is_replaced(make_engine: MakeEngine) -> None:
    engine = make_engine(denoise_timeout_s=2)
    with pytest.raises(EngineHung, match="said nothing for 2 s"):
        made_by(engine, [a_job("!hang")], ignore, nobody)
    assert works(engine)


def test_a_stopped_child_is_replaced_even_before_its_first_step(make_engine: MakeEngine) -> None:
    engine = make_engine(denoise_timeout_s=1, load_timeout_s=900)
    engine.start()
    os.kill(engine.status().pid, signal.SIGSTOP)
    with pytest.raises(EngineHung, match="said nothing for 1 s"):
        made_by(engine, [a_job()], ignore, nobody)
    assert "said nothing for 1 s" in engine.status().last_end
    assert works(engine)
    assert engine.status().restarts == 1


SILENT_LOAD = """
import sys, time
from app.engine.makers.testing import FastMaker, serve
class Quiet(FastMaker):
    def load(self, *arguments):
        time.sleep(4)
serve(Quiet, sys.argv[1:])
"""


def test_a_child_that_took_its_job_may_load_in_silence(make_engine: MakeEngine) -> None:
    engine = make_engine(command=[sys.executable, "-c", SILENT_LOAD], denoise_timeout_s=2)
    assert works(engine)
    assert engine.status().restarts == 0


def test_a_child_that_freezes_while_it_loads_is_replaced_long_before_loading_may_take(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(denoise_timeout_s=60, load_timeout_s=900)
    engine.start()

    def freeze(event: EngineEvent) -> None:
        if event.kind == "loading":
            os.kill(engine.status().pid, signal.SIGSTOP)

    with monkeypatch.context() as short:  # not while a process starts, which may take longer on a busy machine
        short.setattr("app.engine.run.FROZEN_LEAST_S", 3.0)
        short.setattr("app.engine.run.FROZEN_TIMES", 0)
        with pytest.raises(EngineHung, match="said nothing for 3 s"):
            made_by(engine, [a_job("!load")], freeze, nobody)
    assert works(engine)


PAUSED = """
import sys
from pathlib import Path
from app.catalog import Catalog
from app.core.settings import Settings
from app.engine.local import LocalEngine
from tests.engine.conftest import a_job
from tests.engine.watching import Result, made_by, nobody
folder = Path(sys.argv[1])
settings = Settings(engine="test", models_folder=folder, data_folder=folder, denoise_timeout_s=2.0)
engine = LocalEngine("cpu", settings=settings, catalog=Catalog(settings))
engine.start()
print(engine.status().pid, flush=True)
job = a_job("!slow", num_inference_steps=40)
[outcome] = made_by(engine, [job], lambda event: print(event.step, flush=True))
print(len(outcome.pictures), "picture", engine.status().restarts, "restarts", flush=True)
engine.close()
"""


def test_a_machine_that_is_paused_twice_costs_a_job_nothing(tmp_path: Path) -> None:
    (tmp_path / "catalog.toml").write_text('[one]\ntitle = "One"\npath = "one"\n')
    command = [sys.executable, "-c", PAUSED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        child = int(service.stdout.readline())
        for _ in range(2):
            for _ in range(5):
                service.stdout.readline()  # it is denoising
            for pid in (child, service.pid):
                os.kill(pid, signal.SIGSTOP)
            time.sleep(3.5)  # longer than silence is allowed to last
            for pid in (service.pid, child):  # the one that judges wakes first
                os.kill(pid, signal.SIGCONT)
        *_, last = service.stdout.read().splitlines()
    assert last == "1 picture 0 restarts"


def test_a_hang_between_loading_and_the_first_step_is_found_as_soon_as_one_between_steps(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine(denoise_timeout_s=2, load_timeout_s=600)
    with pytest.raises(EngineHung, match="said nothing for 2 s"):
        made_by(engine, [a_job("!stuck")], ignore, nobody)
    assert works(engine)


def run_and_cancel(engine: LocalEngine, jobs: list[Work], cancel: Work, step: int = 2) -> tuple[list[Result], float]:
    """Cancel one job when `step` events of kind step have come. Gives the outcomes and the seconds since then."""
    asked: list[float] = []
    outcomes = made_by(
        engine,
        jobs,
        at_step(step, lambda: asked.append(time.monotonic())),
        lambda job_id: bool(asked) and job_id == cancel.job_id,
    )
    return outcomes, time.monotonic() - asked[0]


def test_a_cancelled_job_is_gone_within_a_step(engine: LocalEngine) -> None:
    job = a_job("!slow", num_inference_steps=1000)
    engine.start()
    pid = engine.status().pid
    [outcome], seconds = run_and_cancel(engine, [job], job)
    assert outcome.cancelled
    assert outcome.pictures == ()
    assert seconds < 50  # the question, a step of 0.1 s, the answer; all steps take 100 s and more
    assert engine.status().pid == pid


def test_a_cancel_leaves_the_neighbour_untouched(engine: LocalEngine) -> None:
    first, second = a_job("one", num_inference_steps=40), a_job("two", num_inference_steps=40)
    [gone, stays], _ = run_and_cancel(engine, [first, second], first, step=4)
    assert gone.cancelled
    assert not stays.cancelled
    [alone] = made_by(engine, [second], ignore, nobody)
    assert stays.pictures[0].rgb == alone.pictures[0].rgb


def test_a_job_cancelled_before_its_run_begins_makes_nothing(engine: LocalEngine) -> None:
    job = a_job("!slow", num_inference_steps=100)
    [outcome] = made_by(engine, [job], ignore, lambda job_id: job_id == job.job_id)
    assert outcome.cancelled


def test_a_job_that_hears_no_cancel_is_ended_with_its_child(make_engine: MakeEngine) -> None:
    engine = make_engine(cancel_timeout_s=0.3, denoise_timeout_s=600)
    job = a_job("!hang")
    [outcome], seconds = run_and_cancel(engine, [job], job, step=1)
    assert outcome.cancelled
    assert 0.3 < seconds < 60
    assert works(engine)


def test_the_neighbour_of_a_job_that_hears_no_cancel_still_gets_its_picture(make_engine: MakeEngine) -> None:
    engine = make_engine(cancel_timeout_s=0.3)
    deaf, other = a_job("!hang"), a_job("two")
    [gone, stays], _ = run_and_cancel(engine, [deaf, other], deaf, step=2)
    assert gone.cancelled
    assert len(stays.pictures) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff" * 64,  # a length beyond every limit
        b"\x7f\xff\xff\xff",
        b"\x00\x00\x00\x05hello",
        b"\x00\x00\x00\x02[]",
        b'\x00\x00\x00\x0c{"kind":"x"}',
        b'\x00\x00\x00\x1c{"kind":"done","raw":99999999',  # cut inside
    ],
    ids=["length", "huge", "text", "list", "sizeless", "cut"],
)
def test_garbage_on_the_socket_ends_the_child_and_not_the_service(make_engine: MakeEngine, sent: bytes) -> None:
    hello = b'\x00\x00\x00\x18{"kind":"hello","raw":0}'
    script = GARBAGE.format(bytes=hello + sent, seconds=60)
    engine = make_engine(command=[sys.executable, "-c", script], load_timeout_s=1)
    started = time.monotonic()
    with pytest.raises(EngineCrashed):
        made_by(engine, [a_job()], ignore, nobody)
    assert time.monotonic() - started < 30


def test_a_frame_of_another_job_ends_the_run(make_engine: MakeEngine) -> None:
    frames = [b'{"kind":"hello","raw":0}', b'{"kind":"step","raw":0,"job":"x","step":1,"of":2}']
    sent = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
    engine = make_engine(command=[sys.executable, "-c", GARBAGE.format(bytes=sent, seconds=5)])
    with pytest.raises(EngineCrashed, match="not running"):
        made_by(engine, [a_job()], ignore, nobody)


OUT_OF_ORDER = """
import sys
from dataclasses import replace
from app.engine.base import Outcome
from app.engine.makers.testing import FastMaker, serve
class Confused(FastMaker):
    def make(self, work, folder, inputs, report):
        first, second = (self._picture(work[0], image, 1, 0.1) for image in (0, 1))
        for picture in [{pictures}]:
            report.picture(work[0].job_id, picture)
        report.ended(work[0].job_id, Outcome())
serve(Confused, sys.argv[1:])
"""


@pytest.mark.parametrize(
    "pictures", ["second, first", "first, first", "first, second, first", "first,", "replace(first, rgb=b'x')"]
)
def test_pictures_that_come_twice_too_few_or_out_of_order_end_the_run(make_engine: MakeEngine, pictures: str) -> None:
    engine = make_engine(command=[sys.executable, "-c", OUT_OF_ORDER.format(pictures=pictures)])
    with pytest.raises(EngineCrashed, match=r"pictures? of"):
        made_by(engine, [a_job(num_images=2)], ignore, nobody)


def test_close_ends_a_run_of_another_thread(engine: LocalEngine) -> None:
    engine.start()
    closer = threading.Timer(0.3, engine.close)
    closer.start()
    with pytest.raises(EngineUnavailable, match="closed"):
        made_by(engine, [a_job("!slow", num_inference_steps=1000)], ignore, nobody)
    closer.join()
    assert engine.status().alive is False


PARENT = """
import sys, time
from pathlib import Path
from app.catalog import Catalog
from app.core.settings import Settings
from app.engine.local import LocalEngine
settings = Settings(engine="test", models_folder=Path(sys.argv[1]))
engine = LocalEngine("cpu", settings=settings, catalog=Catalog(settings))
engine.start()
print(engine.status().pid, flush=True)
time.sleep(60)
"""


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        gone, alive = psutil.wait_procs([child], timeout=1)
        zombie = bool(alive) and child.status() == psutil.STATUS_ZOMBIE  # where process 1 does not reap
    assert gone or zombie


def test_twelve_restarts_leave_no_files_threads_or_processes(engine: LocalEngine) -> None:
    def restart() -> None:
        with pytest.raises(EngineCrashed):
            made_by(engine, [a_job("!crash", num_inference_steps=1)], ignore, nobody)

    this = psutil.Process()
    restart()
    before = this.num_fds(), this.num_threads(), len(this.children())  # other tests' among them: they come and go
    for _ in range(12):
        restart()
    after = this.num_fds(), this.num_threads(), len(this.children())
    assert max(now - then for now, then in zip(after, before, strict=True)) < 8  # one a restart would be twelve


def test_a_cancel_at_any_moment_hits_its_own_job_only(engine: LocalEngine) -> None:
    dice = random.Random(1)
    engine.start()
    pid = engine.status().pid
    for _ in range(40):
        first, second = a_job("one", num_inference_steps=15), a_job("two", num_inference_steps=15)
        due = time.monotonic() + dice.uniform(0, 0.1)
        gone, stays = made_by(
            engine,
            [first, second],
            ignore,
            lambda job_id, due=due, mine=first.job_id: job_id == mine and time.monotonic() > due,
        )
        assert len(gone.pictures) == (0 if gone.cancelled else 1)
        assert len(stays.pictures) == 1
    assert engine.status().pid == pid
