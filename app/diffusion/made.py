"""What is asked for, who hears of it as it is made, and what it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.core.errors import AtelierError, OutOfMemory
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.diffusion.control import Guides, guides_of
from app.diffusion.edits import Shown, shown_of
from app.diffusion.prompts import Asked, read
from app.diffusion.starts import Pictures, Start, starts_of


@dataclass(frozen=True)
class Made:
    """What became of one request: its pictures, and the error that stopped it. `seconds` is working time."""

    pictures: tuple[Picture, ...] = ()
    error: AtelierError | None = None
    seconds: float = 0.0


class PassWatch:
    """Who hears what becomes of requests, by their place in the list. This one hears nothing and cancels nothing."""

    def step(self, index: int, step: int, of: int, preview: bytes | None) -> None:
        """After each denoising step; `of` counts all steps of the request, `preview` is a JPEG or None."""

    def picture(self, index: int, picture: Picture) -> None:
        """A picture is done, in the size that was asked for. The next pass begins when this returns."""

    def ended(self, index: int, error: AtelierError | None, seconds: float) -> None:
        """All pictures of a request were handed over, or this error stopped it. Once for each request, and last."""

    def cancelled(self, index: int) -> bool:
        """Asked at each step; a cancelled request leaves its neighbours undisturbed."""
        return False

    def wants_preview(self, index: int) -> bool:
        """Asked at each step whether a preview is to be made."""
        return False


@dataclass
class Making:
    """One request while it is made. `asked` is what was asked for, `request` the size that is drawn for it.

    `prompts` is `request` with its prompts read, `start` what it starts from in the size that is drawn, `frame` the
    same in the size that is given out; `shown` are the pictures of an instruction; `control` is what holds its
    pictures.
    """

    index: int
    asked: GenerationRequest
    request: GenerationRequest
    left: list[int]
    error: AtelierError | None = None
    seconds: float = 0.0
    told: bool = False
    prompts: Asked | None = None
    start: Start | None = None
    frame: Start | None = None
    shown: Shown | None = None
    control: Guides | None = None

    @property
    def open(self) -> bool:
        """True while more of it is to be made."""
        return self.error is None and not self.told

    @property
    def ran_out(self) -> bool:
        """True if memory ran out under it, so that it may be tried again."""
        return not self.told and isinstance(self.error, OutOfMemory)

    def begin(self, pictures: Pictures) -> None:
        """Read its prompts and find what it starts from. It ends with an error if it cannot."""
        try:
            self.prompts = read(self.request)
            self.start, self.frame = starts_of(self.request, self.asked, pictures)
            self.shown = shown_of(self.request, pictures)
            self.control = guides_of(self.request, pictures, self.frame)
        except AtelierError as error:
            self.error = error

    def tell_end(self, watch: PassWatch, error: AtelierError | None = None) -> None:
        """It is over."""
        self.error = error or self.error
        self.told = True
        watch.ended(self.index, self.error, self.seconds)


@dataclass
class Collected(PassWatch):
    """Passes everything on to `watch`, and keeps the pictures."""

    watch: PassWatch
    pictures: dict[int, list[Picture]] = field(default_factory=dict)
    ends: dict[int, tuple[AtelierError | None, float]] = field(default_factory=dict)

    def step(self, index: int, step: int, of: int, preview: bytes | None) -> None:
        """See `PassWatch`."""
        self.watch.step(index, step, of, preview)

    def picture(self, index: int, picture: Picture) -> None:
        """See `PassWatch`."""
        self.pictures.setdefault(index, []).append(picture)
        self.watch.picture(index, picture)

    def ended(self, index: int, error: AtelierError | None, seconds: float) -> None:
        """See `PassWatch`."""
        self.ends[index] = error, seconds
        self.watch.ended(index, error, seconds)

    def cancelled(self, index: int) -> bool:
        """See `PassWatch`."""
        return self.watch.cancelled(index)

    def wants_preview(self, index: int) -> bool:
        """See `PassWatch`."""
        return self.watch.wants_preview(index)

    def made(self, requests: Sequence[GenerationRequest]) -> list[Made]:
        """What became of each request."""
        return [Made(tuple(self.pictures.get(index, ())), *self.ends[index]) for index in range(len(requests))]
