"""API keys: random 256 bit, stored as SHA-256 only, each with one scope."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app.core.errors import AtelierError
from app.core.settings import Settings

DEFAULT_FILE = "api_keys"
PREFIX = "atelier_"


class Scope(StrEnum):
    """What a key may do; each scope includes the ones above it."""

    READ = "read"  # look at jobs, pictures and models
    GENERATE = "generate"  # submit and cancel jobs, mark favourites
    ADMIN = "admin"  # delete pictures, load models, pause the queue, read metrics

    def includes(self, other: "Scope") -> bool:
        """True if a key of this scope may do what `other` allows."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class BadKeyFile(AtelierError):
    """The file of API keys cannot be used."""

    code = "bad_key_file"


@dataclass(frozen=True)
class ApiKeys:
    """The keys that this service accepts. Without any, everybody who reaches the service may do everything."""

    keys: tuple[tuple[Scope, bytes], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys)

    def scope_of(self, key: str) -> Scope | None:
        """The scope of a key, or None if it is not one of ours. Takes the same time for every wrong key."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        found = None
        for scope, known in self.keys:
            if hmac.compare_digest(known, digest):
                found = scope
        return found


def keys_file(settings: Settings) -> Path:
    """Where the hashes of the keys are: the setting, or `api_keys` in the data folder."""
    return settings.api_keys_file or settings.data_folder / DEFAULT_FILE


def read_keys(settings: Settings) -> ApiKeys:
    """The keys of the file; none if there is no such file. Raises BadKeyFile naming the line that is wrong."""
    file = keys_file(settings)
    try:
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        if settings.api_keys_file is None:
            return ApiKeys()
        raise BadKeyFile(f"There is no file of API keys at {file}.", hint="Make a key with --new-key.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadKeyFile(f"The file of API keys {file} cannot be read: {error}") from error
    return ApiKeys(tuple(_parsed(lines, file)))


def new_key(settings: Settings, scope: Scope) -> str:
    """Make a key, append its hash to the file (mode 0600) and return the key: it is told this once only."""
    key = PREFIX + secrets.token_urlsafe(32)
    file = keys_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        os.fchmod(descriptor, 0o600)
        stream.write(f"{scope}:{hashlib.sha256(key.encode()).hexdigest()}\n")
    return key


def _parsed(lines: Iterable[str], file: Path) -> Iterable[tuple[Scope, bytes]]:
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        scope, _, digest = text.partition(":")
        # The line itself stays out of the message: someone may have put a key there by mistake.
        wrong = f"Line {number} of {file} is not `read|generate|admin:sha256-hex-of-key`."
        if scope not in list(Scope) or len(digest) != 64:
            raise BadKeyFile(wrong)
        try:
            yield Scope(scope), bytes.fromhex(digest)
        except ValueError:
            raise BadKeyFile(wrong) from None
