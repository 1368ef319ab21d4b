"""What services on one PostgreSQL say to each other, as text that fits into its messages."""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.database.notices import MAX_BYTES
from app.engine.base import EngineEvent
from app.jobs.recent import Recent

PREVIEW_PART = MAX_BYTES - 300  # what stands around it


class Step(BaseModel):
    """A sign of life of a job, as `EngineEvent`."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    kind: str
    step: int
    of: int
    phase: str


class PreviewPart(BaseModel):
    """Part number `part`, from 0, of the `of` parts of a job's newest preview."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    part: int = Field(ge=0)
    of: int = Field(ge=1, le=100)
    base64: str


class Told(BaseModel):
    """One message. `events` are (job, kind, number of its row); what a newer version says beside is passed over."""

    model_config = ConfigDict(frozen=True)

    sender: str
    events: tuple[tuple[str, str, int], ...] = ()
    steps: tuple[Step, ...] = ()
    wanted: tuple[str, ...] = ()
    preview: PreviewPart | None = None
    look: bool = False


@dataclass
class Batch:
    """What is to be told next: of each job the newest step and preview, and every change of its state."""

    previews: dict[str, bytes] = field(default_factory=dict)
    steps: dict[str, EngineEvent] = field(default_factory=dict)
    events: list[tuple[str, str, int]] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    look: bool = False

    def __bool__(self) -> bool:
        return bool(self.previews or self.steps or self.events or self.wanted or self.look)

    def messages(self, sender: str) -> list[str]:
        """All of it, previews before their steps and steps before the states that end them."""
        said: list[dict[str, object]] = [
            {"preview": {"job_id": job_id, "part": number, "of": len(parts), "base64": part}}
            for job_id, preview in self.previews.items()
            for parts in [_parts(preview)]
            for number, part in enumerate(parts)
        ]
        steps = [{name: getattr(step, name) for name in Step.model_fields} for step in self.steps.values()]
        for name, things in (("steps", steps), ("events", self.events), ("wanted", self.wanted)):
            said += _packed(name, things)
        if self.look:
            said.append({"look": True})
        return [json.dumps({"sender": sender, **each}) for each in said]


class Previews:
    """Puts the parts of previews together. Not safe from several threads."""

    def __init__(self) -> None:
        self._coming: Recent[list[str]] = Recent()

    def whole(self, part: PreviewPart) -> bytes | None:
        """The preview, if this was its last part; None before, and if a part of it got lost."""
        so_far = self._coming.pop(part.job_id, []) if part.part else []
        if part.part != len(so_far):
            return None
        so_far.append(part.base64)
        if len(so_far) == part.of:
            return base64.b64decode("".join(so_far))
        self._coming[part.job_id] = so_far
        return None


def _parts(preview: bytes) -> list[str]:
    text = base64.b64encode(preview).decode()
    return [text[start : start + PREVIEW_PART] for start in range(0, len(text), PREVIEW_PART)]


def _packed(name: str, things: Sequence[Any]) -> Iterator[dict[str, object]]:
    """As many of them in one message as fit."""
    packed: list[Any] = []
    size = 0
    for thing in things:
        bytes_of_it = len(json.dumps(thing)) + 2
        if packed and size + bytes_of_it > PREVIEW_PART:
            yield {name: packed}
            packed, size = [], 0
        packed.append(thing)
        size += bytes_of_it
    if packed:
        yield {name: packed}
