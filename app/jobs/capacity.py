"""How much of the line an engine takes at a time: it says so itself, of each kind of work."""

from collections.abc import Callable

from app.catalog import ModelEntry
from app.core.schema import GenerationRequest, JobError
from app.jobs.job_rows import Stored

# How many images of such a job make one pass; 0 = leave it to others. The entry is None in a row of an older version.
Capacity = Callable[[GenerationRequest, ModelEntry | None], int]


def alone(_request: GenerationRequest, _entry: ModelEntry | None) -> int:
    """The capacity that gives every job a run of its own."""
    return 1


def room_for(capacity: Capacity, stored: Stored) -> int:
    """The capacity for one stored job. One that cannot be read is taken alone, to be failed."""
    return 1 if isinstance(stored.request, JobError) else capacity(stored.request, stored.entry)
