"""What is known of a model that somebody asked to be loaded."""

from app.jobs.live import LiveEvents
from app.jobs.models import FAILURE_SHOWN_S, ModelDesk
from tests.jobs.engines import SmallEngine


def test_a_load_that_failed_is_told_for_a_minute_and_does_not_mark_the_model_for_ever() -> None:
    now = 1000.0
    desk = ModelDesk(SmallEngine(), LiveEvents(), now=lambda: now)
    desk.ask("load", "gone")
    assert desk.serve_one()
    assert desk.states()["gone"].state == "failed"
    assert desk.states()["gone"].error is not None
    now += FAILURE_SHOWN_S - 1
    assert desk.states()["gone"].state == "failed"
    now += 1
    assert desk.states() == {}
    desk.ask("load", "gone")
    assert desk.states()["gone"].state == "waiting"
    now += FAILURE_SHOWN_S
    assert desk.states()["gone"].state == "waiting"
