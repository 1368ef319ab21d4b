"""What is ours to mend, or the machine's (HTTP 5xx)."""

from app.core.errors.base import AtelierError


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


class EngineLost(EngineUnavailable):
    """The machine that made the pictures is gone. Its jobs are made by another one."""

    code = "engine_lost"


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
