"""What a browser remembers between visits: the ids of its jobs, the one looked at, and the last settings sent.

It lies in the browser's own storage, so it is as trustworthy as any input: `read` takes what has the right shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.ui.actions import plain_values

MAX_JOBS = 12
MAX_ID_CHARS = 64


@dataclass(frozen=True)
class Memory:
    """`jobs` newest first; `focus` is the job in the big card; `request` the last one sent from this browser."""

    jobs: tuple[str, ...] = ()
    focus: str | None = None
    request: dict[str, Any] | None = None

    @classmethod
    def read(cls, value: object) -> "Memory":
        """The memory in a browser's value; what is missing or has another shape is left out."""
        if not isinstance(value, Mapping):
            return cls()
        listed = value.get("jobs")
        jobs = tuple(id for id in listed if _is_id(id))[:MAX_JOBS] if isinstance(listed, list) else ()
        focus, request = value.get("focus"), value.get("request")
        sent = plain_values(request) if isinstance(request, Mapping) else None
        return cls(jobs, focus if _is_id(focus) else None, sent)

    def write(self) -> dict[str, Any]:
        """The value for the browser."""
        return {"jobs": list(self.jobs), "focus": self.focus, "request": self.request}

    def with_job(self, id: str, request: Mapping[str, Any] | None = None) -> "Memory":
        """One more job, looked at from now on. Anything that is no id changes nothing."""
        if not _is_id(id):
            return self
        jobs = (id, *(other for other in self.jobs if other != id))[:MAX_JOBS]
        return Memory(jobs, id, dict(request) if request else self.request)

    def without(self, ids: set[str]) -> "Memory":
        """The same without these jobs."""
        left = tuple(id for id in self.jobs if id not in ids)
        return replace(self, jobs=left, focus=None if self.focus in ids else self.focus)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.replace("-", "").isalnum()
