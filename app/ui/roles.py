"""What a person who logged in may do. The page has one key for all of them; this keeps each to their own scope."""

import re
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

import requests

from app.client import ImageServiceClient
from app.core.errors import ServiceError


class Role(StrEnum):
    """The scopes of the service's keys; each includes the ones above it."""

    READ = "read"
    GENERATE = "generate"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """True if a person with this role may do what `other` allows."""
        order = list(Role)
        return order.index(self) >= order.index(other)


# Set for each call that the login lets pass. Threads that no call started only look.
CURRENT_ROLE: ContextVar[Role] = ContextVar("CURRENT_ROLE", default=Role.READ)
# What is not listed needs the highest role; to look needs the lowest, but at what was thrown away.
_THROWN_AWAY = re.compile(r"/api/trash(/.*)?")
_NEEDED = (
    (Role.READ, "POST", re.compile(r"/api/inspect")),
    (Role.GENERATE, "POST", re.compile(r"/api/jobs")),
    (Role.GENERATE, "POST", re.compile(r"/api/jobs/[^/]+/cancel")),
    (Role.GENERATE, "POST", re.compile(r"/api/generate")),
    (Role.GENERATE, "POST", re.compile(r"/api/grids(/[^/]+/cancel)?")),
    (Role.GENERATE, "POST", re.compile(r"/api/inputs")),
    (Role.GENERATE, "POST", re.compile(r"/api/sketch")),
    (Role.GENERATE, "PATCH", re.compile(r"/api/images/[^/]+")),
)


def needed_role(method: str, path: str) -> Role:
    """The lowest role that may make this call to the service."""
    if method == "GET":
        return Role.ADMIN if _THROWN_AWAY.fullmatch(path) else Role.READ
    listed = (role for role, verb, known in _NEEDED if verb == method and known.fullmatch(path))
    return next(listed, Role.ADMIN)


class RoleClient(ImageServiceClient):
    """The client of a page with a login: it refuses what the person who asks may not do."""

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        if not CURRENT_ROLE.get().includes(needed_role(method, path)):
            raise ServiceError("Your login may not do this.", code="role_not_allowed", http_status=403)
        return super()._call(method, path, **options)
