"""Every error that Atelier raises on purpose.

AtelierError
├── CallerError                the caller can mend it (HTTP 4xx)
│   ├── InvalidRequest         one or more fields are wrong: each with value and what is allowed
│   ├── UnknownJob · UnknownImage · UnknownModel · UnknownInput
│   ├── IdempotencyConflict    the same key with another request
│   ├── QueueFull              try later (429, Retry-After)
│   ├── NotAllowed · NotAuthenticated
│   ├── UnreadablePicture      not a picture, or one that we refuse to open
│   └── ModelNotInstalled · ModelRefused · ModelBusy · NotDownloadable
├── ServerError                ours, or the machine's (HTTP 5xx)
│   ├── EngineCrashed · EngineHung · EngineUnavailable
│   ├── OutOfMemory
│   ├── StorageUnavailable     pictures cannot be saved or read right now
│   │   └── DiskFull
│   ├── LibraryFull · InputsFull   the owner's limits for all pictures, and for those that jobs start from
│   ├── DatabaseBusy           the job table cannot be used right now
│   │   └── DatabaseGone · DatabaseDamaged
│   ├── DatabaseOnNetworkDisk · ShuttingDown
│   ├── CatalogUnreadable      the list of models cannot be read; what is queued waits
│   ├── DownloadFailed         the network or the hub; what arrived is kept
│   └── GenerationFailed
├── GenerationCancelled        not a fault: someone asked for it
└── ServiceError               client side: what the image service answered (code, status, message)
    └── ServiceUnreachable     client side: nothing answered

The docstring of a class is its message when none is given, so no error can lack an explanation.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


class AtelierError(Exception):
    """Something went wrong inside Atelier."""

    code = "error"
    http_status = 500

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or (self.__doc__ or "").strip().split("\n\n")[0]
        self.hint = hint
        super().__init__(self.message)

    def as_dict(self) -> dict[str, Any]:
        """`{"code", "message", "hint"}`, the shape of a job's `error`."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


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


class NotDownloadable(CallerError):
    """There is nothing to download for this model."""

    code = "not_downloadable"
    http_status = 409


class ServerError(AtelierError):
    """The service could not do its work."""

    code = "server_error"
    http_status = 500


class EngineCrashed(ServerError):
    """The process that makes the pictures ended unexpectedly."""

    code = "worker_crashed"


class EngineHung(EngineCrashed):
    """The process that makes the pictures gave no sign of life and was ended."""

    code = "worker_hung"


class EngineUnavailable(ServerError):
    """No process that makes pictures could be started."""

    code = "engine_unavailable"
    http_status = 503


class OutOfMemory(ServerError):
    """There was not enough memory for this picture."""

    code = "out_of_memory"
    http_status = 507


class StorageUnavailable(ServerError):
    """The folder of the pictures cannot be used right now. Nothing is lost: accepted jobs wait until it can."""

    code = "storage_unavailable"
    http_status = 503


class DiskFull(StorageUnavailable):
    """The disk is full: nothing was lost, but nothing can be saved until there is room."""

    code = "disk_full"
    http_status = 507


class LibraryFull(ServerError):
    """The pictures take all the room that their owner allows them."""

    code = "library_full"
    http_status = 507

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint or "Delete pictures, or raise ATELIER_LIBRARY_MAX_BYTES.")


class InputsFull(ServerError):
    """The pictures that jobs start from take all the room that their owner allows them."""

    code = "inputs_full"
    http_status = 507


class DownloadFailed(ServerError):
    """The model could not be downloaded. What arrived is kept."""

    code = "download_failed"
    http_status = 502


class DatabaseBusy(ServerError):
    """The job table cannot be reached right now."""

    code = "database_busy"
    http_status = 503


class DatabaseGone(DatabaseBusy):
    """The file of the job table was deleted, moved or replaced while the service ran."""

    code = "database_gone"

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(
            message,
            hint=hint
            or "If it was moved, move it back: the service goes on by itself. "
            "If it was deleted, stop the service and restore a backup: python -m app restore FILE",
        )


class DatabaseDamaged(DatabaseBusy):
    """The file of the job table is damaged."""

    code = "database_damaged"

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(
            message,
            hint=hint
            or "Stop the service and restore a backup: python -m app restore FILE. "
            "Without one, move the damaged file away and give the pictures their entries back with "
            "python image_generation_service.py --rebuild-library",
        )


class DatabaseOnNetworkDisk(ServerError):
    """SQLite cannot keep the job table safe on a network disk."""

    code = "database_on_network_disk"

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(
            message,
            hint=hint
            or "Give ATELIER_DATA_FOLDER or ATELIER_DATABASE_URL a place on a disk of "
            "this machine, or the URL of a PostgreSQL, which several machines may share.",
        )


class CatalogUnreadable(ServerError):
    """The list of models cannot be read right now. What is queued waits."""

    code = "catalog_unreadable"
    http_status = 503


class ShuttingDown(ServerError):
    """The service is stopping and takes no new work."""

    code = "shutting_down"
    http_status = 503


class GenerationFailed(ServerError):
    """The picture could not be made."""

    code = "generation_failed"


class GenerationCancelled(AtelierError):
    """The job was cancelled."""

    code = "cancelled"
    http_status = 409


class ServiceError(AtelierError):
    """The image service refused the call.

    `code`, `http_status` and `errors` are the service's own; `retry_after_s` is set on 429 and 503.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str = "service_error",
        http_status: int = 500,
        hint: str | None = None,
        errors: Sequence[dict[str, Any]] = (),
        retry_after_s: float | None = None,
    ) -> None:
        self.code = code
        self.http_status = http_status
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s
        super().__init__(message, hint=hint)


class ServiceUnreachable(ServiceError):
    """The image service does not answer. Is it running? Start it with ./quick_start.sh."""

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message or self.__doc__, code="service_unreachable", http_status=503, hint=hint)
