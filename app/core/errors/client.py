"""What a client of the image service meets."""

from collections.abc import Sequence
from typing import Any

from app.core.errors.base import AtelierError


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
