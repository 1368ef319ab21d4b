"""What a request comes to."""

from dataclasses import dataclass

from app.core.errors import AtelierError
from app.core.picture import Picture


@dataclass(frozen=True)
class Made:
    """What became of one request: its pictures, or the error that stopped it. `seconds` is working time."""

    pictures: tuple[Picture, ...] = ()
    error: AtelierError | None = None
    seconds: float = 0.0
