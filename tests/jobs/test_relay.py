"""What services on one PostgreSQL tell each other: what runs in one is told live by the others."""

import pytest
import sqlalchemy

from app.core.schema import Progress
from app.database import Notices
from app.engine.base import EngineEvent
from app.jobs.live import MAX_PREVIEW_BYTES, LiveEvents
from app.jobs.relay import UNWATCHED_STEP_S, WANT_EVERY_S, WANTED_S, Relay

from .things import Clock

MAX_MESSAGE_BYTES = 8_000  # PostgreSQL's own


class Street:
    """Services whose messages a test hands on itself."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.relays: list[Relay] = []
        self.lives: list[LiveEvents] = []
        self.looks = 0
        self.lost: set[int] = set()  # numbers of messages of the next delivery that do not arrive

    def a_service(self) -> LiveEvents:
        # The street is the post: nothing is sent by the relay itself.
        relay = Relay(Notices(sqlalchemy.create_engine("sqlite://")), f"boot-{len(self.relays)}", now=self.clock)
        self.relays.append(relay)
        self.lives.append(LiveEvents(others=relay))
        return self.lives[-1]

    def deliver(self) -> list[str]:
        messages = [message for relay in self.relays for message in relay.taken()]
        for number, message in enumerate(messages):
            assert len(message.encode()) < MAX_MESSAGE_BYTES
            for relay, live in zip(self.relays, self.lives, strict=True):
                if number not in self.lost:
                    relay.hear(message, live, self._told)
        self.lost.clear()
        return messages

    def _told(self) -> None:
        self.looks += 1


@pytest.fixture
def street() -> Street:
    return Street()


def at(step: int) -> Progress:
    return Progress(step=step, of=20, phase="denoising")


def a_step(step: int, preview: bytes | None = None) -> EngineEvent:
    return EngineEvent("job-1", "step", step, 20, preview=preview)


def test_a_watched_job_is_told_with_each_step_and_its_previews(street: Street) -> None:
    here, elsewhere = street.a_service(), street.a_service()
    here.step(a_step(1, b"not watched yet"))
    street.deliver()
    assert (elsewhere.progress("job-1"), elsewhere.preview("job-1")) == (at(1), None)
    street.deliver()  # that preview was asked for
    for step in (2, 3):
        preview = bytes([step]) * MAX_PREVIEW_BYTES  # too much for one message
        here.step(a_step(step, preview))
        assert len(street.deliver()) > MAX_PREVIEW_BYTES / MAX_MESSAGE_BYTES
        assert elsewhere.preview("job-1") == preview
        newest = elsewhere.latest("job-1")
        assert newest is not None
        assert (newest.data["step"], newest.data["preview"]) == (step, step - 1)


def test_a_preview_of_which_a_part_got_lost_is_not_shown_and_its_step_is(street: Street) -> None:
    here, elsewhere = street.a_service(), street.a_service()
    elsewhere.wait("job-1", timeout=0)
    street.deliver()
    street.lost = {1}
    here.step(a_step(1, b"x" * MAX_PREVIEW_BYTES))
    street.deliver()
    assert (elsewhere.progress("job-1"), elsewhere.preview("job-1")) == (at(1), None)


def test_what_nobody_elsewhere_watches_is_told_once_a_second_and_without_previews(street: Street) -> None:
    here, elsewhere = street.a_service(), street.a_service()
    for step in range(1, 16):
        here.step(a_step(step, b"jpeg"))
        street.clock.pass_s(UNWATCHED_STEP_S / 8)
    [message] = street.deliver()
    assert "preview" not in message
    assert elsewhere.progress("job-1") == at(9)
    elsewhere.wait("job-1", timeout=0)
    street.deliver()
    street.clock.pass_s(WANTED_S + 1)  # the reader is gone
    here.step(a_step(12, b"jpeg"))
    here.step(a_step(13, b"jpeg"))
    [message] = street.deliver()
    assert "preview" not in message


def test_who_watches_says_so_again_and_again_and_not_with_every_look(street: Street) -> None:
    street.a_service()
    elsewhere = street.a_service()
    for _ in range(5):
        elsewhere.wait("job-1", timeout=0)
    assert len(street.deliver()) == 1
    street.clock.pass_s(WANT_EVERY_S)
    elsewhere.wait("job-1", timeout=0)
    elsewhere.wait("model:pocket", timeout=0)  # how a model is, each service knows of itself
    assert len(street.deliver()) == 1


def test_a_state_is_told_and_ends_the_progress(street: Street) -> None:
    here, elsewhere = street.a_service(), street.a_service()
    here.step(a_step(1))
    here.publish("job-1", "succeeded", {"attempt": 1}, seq=3)
    here.step(a_step(2))
    street.deliver()
    newest = elsewhere.latest("job-1")
    assert newest is not None
    assert (newest.kind, newest.seq, newest.rows, elsewhere.progress("job-1")) == ("succeeded", 3, 3, None)
    assert street.looks == 0


def test_a_job_that_waits_and_a_change_of_the_table_call_the_others_to_work(street: Street) -> None:
    here = street.a_service()
    street.a_service()
    here.publish("job-1", "queued", {"attempt": 0}, seq=1)
    street.deliver()
    here.others.look()
    street.deliver()
    assert street.looks == 2  # the other's, and never its own


def test_steps_of_a_service_that_lost_the_job_do_not_disturb_the_one_that_has_it(street: Street) -> None:
    paused, owner = street.a_service(), street.a_service()
    paused.step(a_step(5))
    street.deliver()
    owner.step(a_step(1))
    paused.step(EngineEvent("job-1", "step", 20, 20, "saving"))
    street.deliver()
    assert owner.progress("job-1") == at(1)


def test_a_message_that_cannot_be_read_is_passed_over(street: Street, caplog: pytest.LogCaptureFixture) -> None:
    live = street.a_service()
    [relay] = street.relays
    for message in ("", "[]", '{"sender": "x", "events": [["job-1"]]}', '{"sender": "x", "steps": [{"job_id": 1}]}'):
        relay.hear(message, live, street._told)
    assert len(caplog.records) == 4
    relay.hear('{"sender": "x", "new": 1, "events": [["job-1", "failed", 2]]}', live, street._told)
    newest = live.latest("job-1")
    assert newest is not None
    assert newest.kind == "failed"


@pytest.mark.postgres
def test_a_notice_reaches_all_who_listen_in_its_order(postgres: sqlalchemy.Engine) -> None:
    notices = Notices(postgres)
    sent = [f"{number}: {'ä' * 3000}" for number in range(20)]
    with notices.listening() as heard, notices.listening() as heard_too:
        notices.send(sent)
        for listen in (heard, heard_too):
            found: list[str] = []
            while len(found) < len(sent):
                new = listen(10)
                assert new
                found += new
            assert found == sent
