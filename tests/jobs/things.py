"""Small values that the tests of the queue share."""

import hashlib
import uuid
from datetime import UTC, datetime
from typing import Any

from app.core.schema import GenerationRequest, Job, SavedImage
from app.jobs.capacity import Capacity
from app.jobs.table import JobTable


class Clock:
    """Seconds since 1970 that pass only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self, _connection: object = None) -> float:
        return self.seconds

    def pass_s(self, seconds: float) -> None:
        self.seconds += seconds


def a_request(prompt: str = "a red apple", **changes: Any) -> GenerationRequest:
    """A resolved request, as the catalog gives it."""
    values: dict[str, Any] = {
        "model": "pocket",
        "num_inference_steps": 4,
        "guidance_scale": 0.0,
        "width": 64,
        "height": 64,
        "seed": 42,
        "scheduler": "default",
    }
    return GenerationRequest(prompt=prompt, **(values | changes))


def up_to(images: int) -> Capacity:
    """An engine that makes so many images in one pass."""
    return lambda _request, _entry: images


def saved_images(job: Job) -> list[SavedImage]:
    """What the library would have saved for this attempt."""
    return [
        SavedImage(
            id=str(uuid.uuid4()),
            job_id=job.id,
            index=index,
            seed=job.request.seed + index,
            width=64,
            height=64,
            path=f"2026-11-21/{job.id}-{index}-{job.attempt}.png",
            sha256=hashlib.sha256(f"{job.request.seed + index}".encode()).hexdigest(),
            bytes=100,
            prompt=job.request.prompt,
            model=job.request.model or "",
            origin=job.origin,
            created_at=datetime.now(UTC),
            recipe={"job_id": job.id},
        )
        for index in range(job.request.num_images)
    ]


def queue(table: JobTable, caller: str, number: int, **changes: object) -> list[Job]:
    """So many new jobs of this caller, whose prompts are its name and their number."""
    return [table.submit(a_request(f"{caller} {n}", **changes), origin="api", caller=caller)[0] for n in range(number)]


def drain(table: JobTable, number: int, **claiming: object) -> list[str]:
    """The prompts of the next jobs in the order in which one engine runs them."""
    made = []
    for _ in range(number):
        [job] = table.claim(**claiming)
        table.finish(job, saved_images(job), 1.0)
        made.append(job.request.prompt)
    return made
