"""A watch that notes all it hears, and runs that give what came of each piece of work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.core.errors import UnknownInput
from app.core.schema import JobError
from app.engine.base import Engine, EngineEvent, Inputs, Outcome, Picture, Work


def ignore(_event: object) -> None:
    """For runs whose events do not matter."""


def nobody(_job_id: str) -> bool:
    """For runs that nobody cancels."""
    return False


class NoInputs:
    """For runs whose requests name no pictures."""

    def open(self, sha256: str) -> bytes:
        """See `Inputs`."""
        raise UnknownInput(f"There is no picture {sha256}.")


@dataclass(frozen=True)
class Result:
    """All that was told of one piece of work."""

    job_id: str
    pictures: tuple[Picture, ...]
    error: JobError | None
    cancelled: bool
    seconds: float


@dataclass
class Noting:
    """Notes what it hears in `told`, as (what, job id, detail); `on_step` and `on_picture` may act on it."""

    on_step: Callable[[EngineEvent], None] = ignore
    is_cancelled: Callable[[str], bool] = nobody
    on_picture: Callable[[Picture], None] = ignore
    told: list[tuple[str, str, object]] = field(default_factory=list)
    pictures: dict[str, list[Picture]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def step(self, event: EngineEvent) -> None:
        """See `Watch`."""
        self.told.append((event.kind, event.job_id, event.step))
        self.on_step(event)

    def picture(self, job_id: str, picture: Picture) -> None:
        """See `Watch`."""
        self.told.append(("picture", job_id, picture.index))
        self.pictures.setdefault(job_id, []).append(picture)
        self.on_picture(picture)

    def ended(self, job_id: str, outcome: Outcome) -> None:
        """See `Watch`."""
        assert job_id not in self.outcomes, "told twice"
        self.told.append(("ended", job_id, outcome))
        self.outcomes[job_id] = outcome

    def cancelled(self, job_id: str) -> bool:
        """See `Watch`."""
        return self.is_cancelled(job_id)

    def result(self, job_id: str) -> Result:
        """What came of one piece of work that ended."""
        outcome = self.outcomes[job_id]
        pictures = tuple(self.pictures.get(job_id, ()))
        return Result(job_id, pictures, outcome.error, outcome.cancelled, outcome.seconds)


def made_by(
    engine: Engine,
    work: Sequence[Work],
    on_step: Callable[[EngineEvent], None] = ignore,
    is_cancelled: Callable[[str], bool] = nobody,
    inputs: Inputs = NoInputs(),
) -> list[Result]:
    """Run it, and give what came of each piece, in order."""
    noting = Noting(on_step, is_cancelled)
    engine.run(work, inputs, noting)
    return [noting.result(item.job_id) for item in work]
