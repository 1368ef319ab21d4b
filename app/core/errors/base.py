"""What all errors of ours share."""

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


class GenerationCancelled(AtelierError):
    """The job was cancelled."""

    code = "cancelled"
    http_status = 409
