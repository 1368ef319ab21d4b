"""API keys: random 256 bit, stored as SHA-256 only, each with one scope and, if its owner likes, a name and an end."""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path

from app.core.errors import AtelierError
from app.core.settings import Settings

DEFAULT_FILE = "api_keys"
PREFIX = "atelier_"
_NAME = re.compile(r"[\w.-]{1,60}")


class Scope(StrEnum):
    """What a key may do; each scope includes the ones above it."""

    READ = "read"  # look at jobs, pictures and models
    GENERATE = "generate"  # submit jobs, cancel and mark one's own
    ADMIN = "admin"  # delete pictures, load models, pause the queue, read metrics; everybody's jobs

    def includes(self, other: "Scope") -> bool:
        """True if a key of this scope may do what `other` allows."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class BadKeyFile(AtelierError):
    """The file of API keys cannot be used."""

    code = "bad_key_file"


@dataclass(frozen=True)
class ApiKey:
    """One accepted key. `expires` is its last day (UTC). Two keys of one name are one caller: so a key is replaced."""

    scope: Scope
    digest: bytes
    name: str = ""
    expires: date | None = None

    @property
    def caller(self) -> str:
        """Whom jobs and seats are counted for: the name, or what is no secret of the hash."""
        return self.name or f"key-{self.digest.hex()[:12]}"

    def is_over(self, today: date) -> bool:
        """True if its last day has passed."""
        return self.expires is not None and self.expires < today


@dataclass(frozen=True)
class ApiKeys:
    """The keys that a service accepts. Without any, everybody who reaches the service may do everything."""

    keys: tuple[ApiKey, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys)

    def find(self, key: str) -> ApiKey | None:
        """The key, or None if it is not one of ours or its end has come. Takes the same time for every wrong key."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        found = None
        for known in self.keys:
            if hmac.compare_digest(known.digest, digest):
                found = known
        return None if found is None or found.is_over(datetime.now(UTC).date()) else found


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


def new_key(settings: Settings, scope: Scope, *, name: str = "", expires: date | None = None) -> str:
    """Make a key, append its hash to the file (mode 0600) and return the key: it is told this once only.

    Raises BadKeyFile for a name of other than 1 to 60 letters, digits, dots, hyphens and underscores.
    """
    if name and not _NAME.fullmatch(name):
        raise BadKeyFile("A key's name has 1 to 60 letters, digits, dots, hyphens or underscores.")
    key = PREFIX + secrets.token_urlsafe(32)
    file = keys_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    last_day = expires.isoformat() if expires else ""
    line = ":".join((scope, hashlib.sha256(key.encode()).hexdigest(), name, last_day)).rstrip(":")
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        os.fchmod(descriptor, 0o600)
        stream.write(f"{line}\n")
    return key


def _parsed(lines: Iterable[str], file: Path) -> Iterable[ApiKey]:
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        scope, digest, name, expires = [*text.split(":"), "", "", ""][:4]
        try:
            if len(digest) != 64 or text.count(":") > 3 or (name and not _NAME.fullmatch(name)):
                raise ValueError
            last_day = date.fromisoformat(expires) if expires else None
            yield ApiKey(Scope(scope), bytes.fromhex(digest), name, last_day)
        except ValueError:
            # The line itself stays out of the message: someone may have put a key there by mistake.
            wrong = f"Line {number} of {file} is not `read|generate|admin:sha256-hex-of-key:name:YYYY-MM-DD`"
            raise BadKeyFile(f"{wrong} (name and last day may be left out).") from None
