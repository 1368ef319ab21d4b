"""What the caller can mend (HTTP 4xx)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.core.errors.base import AtelierError


class CallerError(AtelierError):
    """The request cannot be served as it was sent."""

    code = "bad_request"
    http_status = 400


@dataclass(frozen=True)
class FieldError:
    """One wrong field: its name, the value as sent, and what is allowed, in words."""

    field: str
    value: Any
    allowed: str

    def __str__(self) -> str:
        shown = repr(self.value)
        return f"{self.field}: {shown if len(shown) <= 80 else shown[:77] + '...'} is not allowed; {self.allowed}"


class InvalidRequest(CallerError):
    """A field of the request has a value that is not allowed."""

    code = "invalid_request"
    http_status = 422

    def __init__(self, errors: Sequence[FieldError], *, hint: str | None = None) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(str(error) for error in self.errors), hint=hint)

    def as_dict(self) -> dict[str, Any]:
        """The common shape plus `errors`: a list of `{"field", "value", "allowed"}`."""
        return super().as_dict() | {"errors": [asdict(error) for error in self.errors]}


class UnknownJob(CallerError):
    """There is no job with this id."""

    code = "unknown_job"
    http_status = 404


class UnknownImage(CallerError):
    """There is no image with this id."""

    code = "unknown_image"
    http_status = 404


class UnknownModel(CallerError):
    """There is no model with this key in the catalog."""

    code = "unknown_model"
    http_status = 404


class UnknownInput(CallerError):
    """There is no uploaded picture with this SHA-256."""

    code = "unknown_input"
    http_status = 404


class UnknownGrid(CallerError):
    """There is no grid with this id."""

    code = "unknown_grid"
    http_status = 404


class IdempotencyConflict(CallerError):
    """This Idempotency-Key was used before with a different request."""

    code = "idempotency_conflict"
    http_status = 409


class QueueFull(CallerError):
    """The queue is full. Try again when some jobs are done."""

    code = "queue_full"
    http_status = 429

    def __init__(self, message: str | None = None, *, retry_after_s: int = 5) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class NotAuthenticated(CallerError):
    """An API key is needed: send it as `Authorization: Bearer KEY`."""

    code = "not_authenticated"
    http_status = 401


class NotAllowed(CallerError):
    """This request is not allowed here."""

    code = "not_allowed"
    http_status = 403


class UnreadablePicture(CallerError):
    """The file is not a PNG, JPEG or WebP picture that can be read."""

    code = "unreadable_picture"
    http_status = 422


class ModelNotInstalled(CallerError):
    """The model is in the catalog but its files are not on this machine."""

    code = "model_not_installed"
    http_status = 409


class ModelRefused(CallerError):
    """The model's files are not safe or not of a kind that can be loaded."""

    code = "model_refused"
    http_status = 422


class ModelBusy(CallerError):
    """The model is being used by a running job."""

    code = "model_busy"
    http_status = 409


class JobsComeFirst(CallerError):
    """Every device is busy with jobs; pictures while typing come when none is left."""

    code = "jobs_come_first"
    http_status = 429


class SketchReplaced(CallerError):
    """A later sketch took the place of this one."""

    code = "sketch_replaced"
    http_status = 409


class TooSlowToSketch(CallerError):
    """Pictures of this model and size take too long here to be drawn while typing."""

    code = "too_slow_to_sketch"
    http_status = 409


class NotDownloadable(CallerError):
    """There is nothing to download for this model."""

    code = "not_downloadable"
    http_status = 409
