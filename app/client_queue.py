"""The client's calls to the queue, and to what comes after it. Part of `ImageServiceClient`."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from app.client_http import part
from app.core.schema import Job, Move


@dataclass(frozen=True)
class Sketch:
    """A picture that was drawn at once and is kept nowhere: its PNG, its steps and the seconds that it took."""

    png: bytes
    steps: int
    seconds: float


class QueueCalls:
    """Jobs listed, cancelled, put in another order and cleared; the queue paused."""

    def jobs(
        self,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        *,
        q: str | None = None,
        line: bool = False,
    ) -> tuple[list[Job], str | None]:
        """A page of jobs, newest first, and the cursor of the next page (None = this was the last).

        `q` is part of the prompt or the beginning of the id; `line`: what runs, then what is next, in that order.
        """
        params = {"state": state, "cursor": cursor, "limit": limit, "q": q, "order": "line" if line else None}
        page = self._json("GET", "/api/jobs", params=params)
        return [job_of(item) for item in page["items"]], page["next"]

    def sketch(self, request: Mapping[str, Any], by: str = "") -> Sketch:
        """Draw one picture at once, when no job waits. A later one under the same name `by` takes its place."""
        answer = self._call("POST", "/api/sketch", json={**request, "by": by})
        told = answer.headers
        steps, seconds = int(told.get("X-Atelier-Steps", 0)), float(told.get("X-Atelier-Seconds", 0))
        return Sketch(answer.content, steps, seconds)

    def describe(
        self,
        *,
        sha256: str | None = None,
        image_id: str | None = None,
        model: str | None = None,
        language: str = "en",
        prompt: str = "",
        idempotency_key: str | None = None,
    ) -> Job:
        """Ask what an uploaded or a saved picture shows; the finished job's `text` says it."""
        picture = {"sha256": sha256} if sha256 else {"image_id": image_id}
        body = {**picture, "model": model, "language": language, "prompt": prompt}
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return job_of(self._json("POST", "/api/describe", json=body, headers=headers, repeat=True))

    def cancel(self, id: str) -> Job:
        """Cancel a job: queued = at once, running = within one step, finished = nothing changes. Repeatable."""
        return job_of(self._json("POST", f"/api/jobs/{part(id)}/cancel", repeat=True))

    def cancel_all(self, *, everybody: bool = False) -> int:
        """Cancel all of one's own jobs that wait or run, or `everybody`'s; how many."""
        return int(self._json("POST", "/api/queue/cancel", params=_whose(everybody), repeat=True)["cancelled"])

    def move(self, id: str, to: Move | str) -> Job:
        """Put a queued job to the `front` of one's own line, or one place `up` or `down`."""
        return job_of(self._json("POST", f"/api/jobs/{part(id)}/move", json={"to": str(to)}))

    def set_priority(self, id: str, priority: int) -> Job:
        """Give a queued job another priority: -10 to 10, above 0 with an admin's key only."""
        return job_of(self._json("PATCH", f"/api/jobs/{part(id)}", json={"priority": priority}, repeat=True))

    def clear_jobs(self, *, everybody: bool = False) -> int:
        """Leave one's own jobs that have ended out of the list, or `everybody`'s; how many. Pictures stay."""
        return int(self._json("POST", "/api/queue/clear", params=_whose(everybody), repeat=True)["cleared"])

    def set_paused(self, paused: bool) -> None:
        """Start no further job (running ones go on), or start jobs again."""
        self._json("POST", f"/api/queue/{'pause' if paused else 'resume'}", repeat=True)

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        raise NotImplementedError

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        raise NotImplementedError


def job_of(data: Any) -> Job:
    """A job as the service says it. A newer service may say more than this client knows."""
    return Job.model_validate(data, extra="ignore")


def _whose(everybody: bool) -> dict[str, str]:
    return {"whose": "everybody"} if everybody else {}
