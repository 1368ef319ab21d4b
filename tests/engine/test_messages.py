"""The messages between service and child: each arrives as it was sent, and what is none is refused by name."""

import socket
from collections.abc import Iterator

import pytest

from app.catalog import ModelEntry
from app.core.schema import JobError
from app.engine import messages
from app.engine.frames import Channel, Frame, FrameError
from tests.engine.conftest import a_job

ENTRY = ModelEntry(key="k", title="T", components={"unet": 1}, scheduler_config={"shift": 3.0})
EACH = [
    messages.RunWork(work=(a_job("蘋果", entry=ENTRY, num_images=3),), folder="/models"),
    messages.InputGiven(sha256="0" * 64, file=b"\x89PNG"),
    messages.LoadModel(entry=ENTRY, folder="/models"),
    messages.UnloadModel(model="k"),
    messages.LookAt(entry=ENTRY, folder="/models", pictures=("0" * 64,), words="蘋果"),
    messages.Looked(vector=b"\x00\x7f\x81"),
    messages.CancelJob(job="j"),
    messages.PictureKept(),
    messages.Exit(),
    messages.Hello(name="cuda:0"),
    messages.Taken(),
    messages.Loading(phase="loading", done=1, of=2),
    messages.Alive(),
    messages.StepDone(job="j", step=1, of=4, preview=b"\xff\xd8"),
    messages.PictureMade(job="j", index=1, seed=8, width=1, height=1, how={"seconds": 0.5}, rgb=b"\x00\x01\xff"),
    messages.JobEnded(job="j", error=JobError(code="x", message="y"), cancelled=False, seconds=0.5),
    messages.Status(loaded=("k",), used=None, total=2**40),
    messages.Done(value=True),
    messages.Crashed(message="It ended."),
]


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    """Both ends of a channel."""
    left, right = (Channel(end) for end in socket.socketpair())
    yield left, right
    left.close()
    right.close()


@pytest.mark.parametrize("message", EACH, ids=lambda message: message.KIND)
def test_a_message_arrives_as_it_was_sent(pair: tuple[Channel, Channel], message: messages.Message) -> None:
    messages.send(pair[0], message)
    assert messages.parse(pair[1].receive()) == message


def test_every_kind_of_message_is_tried_here() -> None:
    assert {type(message) for message in EACH} == set(messages.Message.__subclasses__())


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (Frame("nonsense"), "nonsense"),
        (Frame("step", {"job": "j", "step": 1}), "of"),
        (Frame("step", {"job": "j", "step": "1", "of": 2}), "step"),
        (Frame("step", {"job": "j", "step": True, "of": 2}), "step"),
        (Frame("picture", {"job": "j", "index": 0, "seed": 7, "width": 1, "height": 1, "how": []}), "how"),
        (Frame("outcome", {"job": "j", "error": {"why": "?"}, "cancelled": False, "seconds": 1.0}), "error"),
        (Frame("outcome", {"job": "j", "error": None, "cancelled": False, "seconds": "long"}), "seconds"),
        (Frame("taken", {"more": 1}), "more"),
        (Frame("taken", {}, b"bytes"), "bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_a_frame_that_is_no_message_is_refused_and_says_why(frame: Frame, named: str) -> None:
    with pytest.raises(FrameError, match=named):
        messages.parse(frame)
