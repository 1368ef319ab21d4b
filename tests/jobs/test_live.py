"""Live news: nothing is missed, nothing piles up, and nobody is left waiting."""

import threading
import time
from collections.abc import Callable

from app.engine.base import EngineEvent
from app.jobs.live import KEPT_TOPICS, MAX_PREVIEW_BYTES, LiveEvent, LiveEvents


def reading(live: LiveEvents, topic: str, after: int = 0) -> Callable[[], LiveEvent | None]:
    """Wait for news in a thread; the result collects them."""
    found: list[LiveEvent | None] = []
    thread = threading.Thread(target=lambda: found.append(live.wait(topic, after, timeout=10)))
    thread.start()

    def result() -> LiveEvent | None:
        thread.join(10)
        return found[0]

    return result


def test_a_waiting_reader_is_woken_by_its_own_topic_only() -> None:
    live = LiveEvents()
    result = reading(live, "job-1")
    time.sleep(0.05)
    live.publish("job-2", "queued", {"attempt": 0}, seq=1)
    live.publish("job-1", "succeeded", {"attempt": 1}, seq=4)
    event = result()
    assert event is not None
    assert (event.kind, event.seq, event.data) == ("succeeded", 4, {"attempt": 1})


def test_news_between_looking_and_waiting_are_not_missed() -> None:
    live = LiveEvents()
    live.step(EngineEvent("job-1", "step", 1, 4))
    seen = live.wait("job-1", 0, timeout=1)
    assert seen is not None
    live.publish("job-1", "succeeded", {}, seq=3)
    newer = live.wait("job-1", seen.version, timeout=1)
    assert newer is not None
    assert newer.kind == "succeeded"
    assert live.wait("job-1", newer.version, timeout=0.01) is None


def test_a_slow_reader_gets_the_newest_step_only() -> None:
    live = LiveEvents()
    for step in range(1, 100):
        live.step(EngineEvent("job-1", "step", step, 100))
    event = live.wait("job-1", 0, timeout=1)
    assert event is not None
    assert event.data == {"step": 99, "of": 100, "phase": "denoising", "preview": 0}


def test_only_the_newest_preview_is_kept_and_a_large_one_is_dropped() -> None:
    live = LiveEvents()
    for preview in (b"one", b"two", b"x" * (MAX_PREVIEW_BYTES + 1), None):
        live.step(EngineEvent("job-1", "step", 1, 4, preview=preview))
    assert live.preview("job-1") == b"two"
    newest = live.latest("job-1")
    assert newest is not None
    assert newest.data["preview"] == 2


def test_a_finished_job_has_no_progress_even_if_a_late_step_comes() -> None:
    live = LiveEvents()
    live.step(EngineEvent("job-1", "step", 1, 4, preview=b"one"))
    live.publish("job-1", "cancelled", {}, seq=2)
    live.step(EngineEvent("job-1", "step", 2, 4, preview=b"two"))
    assert (live.progress("job-1"), live.preview("job-1")) == (None, None)
    newest = live.latest("job-1")
    assert newest is not None
    assert newest.kind == "cancelled"


def test_stopping_wakes_all_readers_and_nobody_waits_afterwards() -> None:
    live = LiveEvents()
    results = [reading(live, topic) for topic in ("job-1", "job-2", "model:pocket")]
    time.sleep(0.05)
    live.stop()
    assert [result() for result in results] == [None, None, None]
    started = time.monotonic()
    assert live.wait("job-3", timeout=60) is None
    assert time.monotonic() - started < 30
    assert live.stopped


def test_memory_does_not_grow_with_the_number_of_jobs() -> None:
    live = LiveEvents()
    for number in range(KEPT_TOPICS + 500):
        live.step(EngineEvent(f"job-{number}", "step", 1, 4, preview=b"p"))
        live.publish(f"job-{number}", "succeeded", {}, seq=3)
    assert live.latest("job-0") is None
    assert live.latest(f"job-{KEPT_TOPICS + 499}") is not None
    assert live._progress == live._previews == live._readers == {}
    assert len(live._newest) == KEPT_TOPICS


def test_progress_of_jobs_whose_end_is_told_elsewhere_does_not_pile_up() -> None:
    live = LiveEvents()
    for number in range(KEPT_TOPICS + 50):  # as when another service takes job after job over
        live.step(EngineEvent(f"job-{number}", "step", 1, 4, preview=b"jpeg"))
    known = [f"job-{number}" for number in range(KEPT_TOPICS + 50) if live.progress(f"job-{number}")]
    assert known == [f"job-{number}" for number in range(50, KEPT_TOPICS + 50)]
    assert live.preview("job-0") is None
    assert live.preview(known[-1]) == b"jpeg"
