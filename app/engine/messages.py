"""All that service and child say to each other: one frozen class for each message, parsed once on either side."""

from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.catalog import ModelEntry
from app.core.schema import JobError
from app.engine.base import Work
from app.engine.frames import Channel, Frame, FrameError


class Message(BaseModel):
    """Base of all messages. `RAW` names the field whose bytes follow the JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    KIND: ClassVar[str]
    RAW: ClassVar[str | None] = None


# From the service


class InputGiven(Message):
    """A picture that the next call's work starts from."""

    KIND = "input"
    RAW = "file"
    sha256: str
    file: bytes


class RunWork(Message):
    """Make the pictures of all this work. `folder`: of the models."""

    KIND = "run"
    work: tuple[Work, ...] = Field(strict=False)
    folder: str


class LoadModel(Message):
    """Load a model; `folder` as above."""

    KIND = "load"
    entry: ModelEntry
    folder: str


class UnloadModel(Message):
    """Free a model's memory."""

    KIND = "unload"
    model: str


class LookAt(Message):
    """Say what the pictures that were given mean, in the order of `pictures`, and then the words if there are any."""

    KIND = "look"
    entry: ModelEntry
    folder: str
    pictures: tuple[str, ...] = Field(strict=False)
    words: str


class CancelJob(Message):
    """Nobody wants this job of the current call any more."""

    KIND = "cancel"
    job: str


class PictureKept(Message):
    """The service has taken the picture that came last: the child may go on."""

    KIND = "kept"


class Exit(Message):
    """End."""

    KIND = "exit"


# From the child


class Hello(Message):
    """It can take calls; `name` is that of its device, for people, if it knows one."""

    KIND = "hello"
    name: str = ""


class Taken(Message):
    """A call arrived."""

    KIND = "taken"


class Loading(Message):
    """A model is being read: `phase` is downloading, loading or loaded; the unit is the maker's own."""

    KIND = "loading"
    phase: str
    done: int
    of: int


class Alive(Message):
    """The picture is being made: from here on silence is judged as while denoising."""

    KIND = "alive"


class StepDone(Message):
    """`step` of `of` denoising steps of a job are done; `preview` is a JPEG or empty."""

    KIND = "step"
    RAW = "preview"
    job: str
    step: int
    of: int
    preview: bytes = b""


class PictureMade(Message):
    """One picture: see `Picture`. The child waits for `PictureKept` before it makes another."""

    KIND = "picture"
    RAW = "rgb"
    job: str
    index: int
    seed: int
    width: int
    height: int
    how: dict[str, Any]
    rgb: bytes


class JobEnded(Message):
    """One piece of work is over: see `Outcome`."""

    KIND = "outcome"
    job: str
    error: JobError | None
    cancelled: bool
    seconds: float
    text: str | None = None


class Looked(Message):
    """One vector of a look, in order: signed bytes, none if there is no answer."""

    KIND = "looked"
    RAW = "vector"
    vector: bytes


class Status(Message):
    """The keys of the loaded models, and bytes of memory used and there; None = unknown.

    `pid`: of the process with the models, if it is another one than the sender.
    """

    KIND = "status"
    loaded: tuple[str, ...] = Field(strict=False)
    used: int | None
    total: int | None
    pid: int | None = None


class Done(Message):
    """The last message of a call: its value, or the error that ended it."""

    KIND = "done"
    error: JobError | None = None
    value: bool | None = None


class Crashed(Message):
    """The process with the models ended under the call, on another machine than the service. The call is over."""

    KIND = "crashed"
    message: str


Call = RunWork | LoadModel | UnloadModel | LookAt
FromService = InputGiven | Call | CancelJob | PictureKept | Exit
FromChild = Hello | Taken | Loading | Alive | StepDone | PictureMade | JobEnded | Looked | Status | Done | Crashed
_KINDS: dict[str, type[Message]] = {kind.KIND: kind for union in (FromService, FromChild) for kind in get_args(union)}


def send(channel: Channel, message: Message) -> None:
    """Send one message. Raises what `Channel.send` raises."""
    frame = frame_of(message)
    channel.send(frame.kind, frame.raw, **frame.fields)


def frame_of(message: Message) -> Frame:
    """The frame that carries a message."""
    raw = getattr(message, message.RAW) if message.RAW else b""
    return Frame(message.KIND, message.model_dump(mode="json", exclude={message.RAW} if message.RAW else None), raw)


def parse(frame: Frame) -> Message:
    """The message that a frame carries. Raises FrameError if it is none, naming what is wrong."""
    kind = _KINDS.get(frame.kind)
    if kind is None:
        raise FrameError(f"a frame of unknown kind {frame.kind!r}")
    if frame.raw and not kind.RAW:
        raise FrameError(f"a frame of kind {frame.kind!r} with bytes")
    raw = {kind.RAW: frame.raw} if kind.RAW else {}
    try:
        return kind.model_validate(frame.fields | raw)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:3])
        raise FrameError(f"a frame of kind {frame.kind!r} that is not as it must be ({wrong})") from None
