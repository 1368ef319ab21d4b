"""Whose request this is. Decided once for each request by security.py; asked by everybody else."""

import hashlib
from dataclasses import dataclass

from flask import current_app, g, request

from app.core.errors import NotAllowed
from app.service.http.key_ring import KeyRing
from app.service.http.keys import ApiKey, Scope
from app.service.http.seats import Seat
from app.service.parts import Parts

EXTENSION = "atelier_keys"


@dataclass(frozen=True)
class Caller:
    """`name` is "" where no keys are needed: then everybody is one and the same, who may do everything."""

    name: str = ""
    scope: Scope = Scope.ADMIN
    key: ApiKey | None = None


def ring() -> KeyRing:
    """The keys of the app that serves this request."""
    keys: KeyRing = current_app.extensions[EXTENSION]
    return keys


def current() -> Caller:
    """Who sent the request being served."""
    return g.get("caller") or Caller()


def program() -> str:
    """Which program called, as far as can be told: its key or login, its address and what it calls itself; hashed."""
    known = (request.headers.get("Authorization", ""), request.remote_addr or "", request.headers.get("User-Agent", ""))
    return hashlib.sha256("\0".join(known).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def refuse_strangers(owner: str) -> None:
    """Raise NotAllowed if the caller is neither the `owner` of what is to be changed nor an admin."""
    caller = current()
    if owner != caller.name and not caller.scope.includes(Scope.ADMIN):
        raise NotAllowed("This was not made with your API key; a key with the scope `admin` is needed.")


def seat(parts: Parts) -> Seat:
    """A seat for the caller. Raises TooManyStreams. Take it before the job is submitted, or the job stays behind."""
    return parts.seats.take(current().name, ring().callers() if current().name else ())
