"""What a browser remembers between visits: the ids of its jobs, the one looked at, and what stands in its form.

It lies in the browser's own storage (`static/memory.js`), so it is as trustworthy as any input: `read` takes what has
the right shape.
"""

import json
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from app.core.schema import MAX_EXTENSION, NO_SIDES
from app.ui.actions import lists_in, plain_values, texts_of
from app.ui.markup import Markup

MAX_JOBS = 12
MAX_ID_CHARS = 64
SHA256 = re.compile(r"[0-9a-f]{64}")
# Run by the browser before an event is sent: the first thing that goes along is what it remembers just then.
SENT = "(_, ...others) => [window.atelierMemory(), ...others]"
# Run when Python's answer arrives.
REMEMBER = 'const tell = () => window.atelierRemember(element); tell(); watch("value", tell);'


@dataclass(frozen=True)
class StartNow:
    """A picture to start from, by its SHA-256. `mask` is the name under which what was painted over it was just handed
    in: None if nothing is painted, "" if it did not arrive. `extend` are pixels to draw beyond its sides: left, top,
    right, bottom."""

    sha256: str
    mask: str | None = None
    extend: tuple[int, ...] = NO_SIDES

    @classmethod
    def read(cls, value: object) -> "StartNow | None":
        """The start in what a browser sent or a file says; None for anything else."""
        if not isinstance(value, Mapping):
            return None
        sha256, mask = value.get("sha256"), value.get("mask")
        if not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
            return None
        listed = value.get("extend")
        sides = tuple(listed) if isinstance(listed, list | tuple) else NO_SIDES
        known = len(sides) == len(NO_SIDES) and all(map(_is_pixels, sides))
        return cls(sha256, None if mask is None else str(mask), sides if known else NO_SIDES)


@dataclass(frozen=True)
class Awaited:
    """A request that is to be drawn as soon as its model is on this machine. `key` makes one job of it, however often
    and from how many tabs it is sent."""

    model: str
    body: dict[str, Any]
    key: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def read(cls, value: object) -> "Awaited | None":
        """What a browser sent; None for anything that is no such request."""
        if not isinstance(value, Mapping):
            return None
        model, body, key = value.get("model"), value.get("body"), value.get("key")
        if not isinstance(model, str) or not isinstance(body, Mapping) or not _is_id(key):
            return None
        return cls(model, plain_values(body) | lists_in(body), str(key))


@dataclass(frozen=True)
class Memory:
    """`jobs` newest first, of all tabs; `focus` is the job in this tab's big card; `draft` the fields of its form.

    `shown` are the marks of the pictures that the page shows now (`mark_of`), by the name of its part; `place` is where
    in the library it is: the cursors of the pages before and of this one. `start` is the picture that the form starts
    from. `awaited` is what is drawn when its model has come.
    """

    jobs: tuple[str, ...] = ()
    focus: str | None = None
    draft: dict[str, Any] | None = None
    shown: Mapping[str, str] = field(default_factory=dict)
    place: tuple[str, ...] = ()
    start: StartNow | None = None
    awaited: Awaited | None = None

    @classmethod
    def read(cls, text: object) -> "Memory":
        """The memory in what a browser sent; what is missing or has another shape is left out."""
        try:
            value = json.loads(str(text or "null"))
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(value, Mapping):
            return cls()
        listed = value.get("jobs")
        jobs = tuple(id for id in listed if _is_id(id))[:MAX_JOBS] if isinstance(listed, list) else ()
        focus, draft = value.get("focus"), value.get("draft")
        kept = plain_values(draft) | lists_in(draft) if isinstance(draft, Mapping) else None
        shown = value.get("shown")
        marks = {str(name): str(mark) for name, mark in shown.items()} if isinstance(shown, Mapping) else {}
        # A tab that looks at no job yet looks at the newest.
        looked_at = focus if _is_id(focus) else next(iter(jobs), None)
        place, start = tuple(texts_of(value.get("place"))), StartNow.read(value.get("start"))
        return cls(jobs, looked_at, kept, marks, place, start, Awaited.read(value.get("awaited")))

    def told(self, before: "Memory") -> Markup:
        """The difference to the memory that the browser sent, for the browser: other tabs may have changed it since."""
        changes: dict[str, object] = {
            "added": [id for id in self.jobs if id not in before.jobs],
            "gone": [id for id in before.jobs if id not in self.jobs],
            "focus": self.focus,
            "turn": secrets.token_hex(3),  # the same change twice is told twice
        }
        if self.awaited != before.awaited:
            changes["awaited"] = asdict(self.awaited) if self.awaited else None
        return Markup("<span hidden>{}</span>").format(json.dumps(changes))

    def with_job(self, id: str) -> "Memory":
        """One more job, the newest, looked at from now on. Anything that is no id changes nothing."""
        if not _is_id(id):
            return self
        jobs = (id, *(other for other in self.jobs if other != id))[:MAX_JOBS]
        return replace(self, jobs=jobs, focus=id)

    def with_focus(self, id: str) -> "Memory":
        """Another job is looked at; one that was not known is added."""
        return replace(self, focus=id) if id in self.jobs else self.with_job(id)

    def without(self, ids: set[str]) -> "Memory":
        """The same without these jobs."""
        left = tuple(id for id in self.jobs if id not in ids)
        return replace(self, jobs=left, focus=None if self.focus in ids else self.focus)


def _is_pixels(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_EXTENSION


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.replace("-", "").isalnum()
