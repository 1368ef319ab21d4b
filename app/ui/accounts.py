"""The people of a login file, and who has to wait after wrong passwords."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.core.errors import AtelierError
from app.ui.roles import Role

MAX_NAME_CHARS, MAX_PASSWORD_CHARS = 100, 1000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
KEPT_FAILURES = 10_000
FREE_TRIES = 2  # of one name from one address
FREE_TRIES_OF_AN_ADDRESS = 20  # of any names
# The hash of a random text that was thrown away: an unknown name costs as much time as a known one.
NO_ONE = "$argon2id$v=19$m=65536,t=3,p=4$ssom7UNe3psHZzIBtHQHIA$EKDIEty4naDEiY3zLA9yCCj9oziqclz3l40/24FfMAw"


class BadAuthFile(AtelierError):
    """The login file cannot be used. It needs a line `name:hash:role` for each person; `ui --add-user` writes one."""

    code = "bad_auth_file"


@dataclass(frozen=True)
class Account:
    """One person: how to recognise their password, and what they may do."""

    hashed: str
    role: Role


class Failures:
    """How long somebody must wait after wrong tries: the pause doubles from 1 to 60 s. Not safe for threads."""

    def __init__(self, free_tries: int) -> None:
        self._free_tries = free_tries
        self._kept: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, who: str, now: float) -> float:
        """Seconds until the next try; 0 = now."""
        return max(0.0, self._kept.get(who, (0, 0.0))[1] - now)

    def count(self, who: str, now: float) -> None:
        """One more wrong try. Of the many who ever failed the latest ten thousand are remembered."""
        number = self._kept.get(who, (0, 0.0))[0] + 1
        doubled = FIRST_PAUSE_S * 2.0 ** min(number - self._free_tries - 1, 10)
        pause = 0.0 if number <= self._free_tries else min(doubled, LONGEST_PAUSE_S)
        self._kept[who] = (number, now + pause)
        self._kept.move_to_end(who)
        while len(self._kept) > KEPT_FAILURES:
            self._kept.popitem(last=False)

    def forgive(self, who: str) -> None:
        """The right password came."""
        self._kept.pop(who, None)


class Accounts:
    """The people of a login file. May be used by many threads.

    Who fails waits by name and address together, so a stranger cannot keep somebody out who sits elsewhere;
    and, after more tries, by address alone, so that one stranger cannot try every name.
    """

    def __init__(self, file: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._people = read_auth_file(file)
        self._hasher = PasswordHasher()
        self._now = now
        self._by_name = Failures(FREE_TRIES)
        self._by_address = Failures(FREE_TRIES_OF_AN_ADDRESS)
        self._lock = threading.Lock()

    def role(self, name: str) -> Role | None:
        """What this person may do, or None for nobody."""
        person = self._people.get(name)
        return person.role if person else None

    def wait_s(self, name: str, address: str) -> float:
        """Seconds until this name may be tried again from this address; 0 = now."""
        with self._lock:
            return self._wait_s(_both(name, address), address)

    def check(self, name: str, password: str, address: str) -> bool:
        """True if the password is this person's. A try that comes too early is never looked at.

        The try is counted as wrong before it is checked, so that many at once gain nothing. An unknown name takes as
        long as a known one.
        """
        both = _both(name, address)
        with self._lock:
            if self._wait_s(both, address) > 0:
                return False
            self._by_name.count(both, self._now())
            self._by_address.count(address, self._now())
        person = self._people.get(name)
        right = self._verified(person.hashed if person else NO_ONE, password) and person is not None
        if right:
            with self._lock:
                self._by_name.forgive(both)
                self._by_address.forgive(address)
        return right

    def _wait_s(self, both: str, address: str) -> float:
        now = self._now()
        return max(self._by_name.wait_s(both, now), self._by_address.wait_s(address, now))

    def _verified(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except VerificationError:
            return False


def _both(name: str, address: str) -> str:
    return f"{address} {name}"  # an address has no space


def read_auth_file(file: Path) -> dict[str, Account]:
    """The accounts by name. A line without a role is an admin's.

    Raises BadAuthFile for a missing or empty file and for a line that is no `name:hash[:role]`.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadAuthFile(f"The login file {file} cannot be read: {error}") from error
    found: dict[str, Account] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.strip().partition(":")
        hashed, _, role = rest.partition(":")
        if not name or not hashed.startswith("$argon2"):
            raise BadAuthFile(f"Line {number} of {file} is not `name:argon2-hash:role`. `ui --add-user` writes one.")
        if role and role not in list(Role):
            raise BadAuthFile(f"Line {number} of {file} has the role {role!r}; allowed is {', '.join(Role)}.")
        try:
            PasswordHasher().check_needs_rehash(hashed)
        except InvalidHashError as error:
            raise BadAuthFile(f"Line {number} of {file} has a damaged hash.") from error
        found[name] = Account(hashed, Role(role or Role.ADMIN))
    if not found:
        raise BadAuthFile(f"The login file {file} names nobody. Add somebody with `ui --add-user NAME`.")
    return found


def add_user(file: Path, name: str, password: str, role: Role = Role.ADMIN) -> None:
    """Add a person to the login file, or give them a new password and role. Only the owner may read the file."""
    if not name or ":" in name or name.startswith("#") or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise BadAuthFile(f"{name!r} cannot be a name: no colon, 1 to {MAX_NAME_CHARS} printable characters.")
    people = read_auth_file(file) if file.exists() and file.stat().st_size else {}
    people[name] = Account(PasswordHasher().hash(password), role)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.chmod(0o600)
    lines = (f"{name}:{person.hashed}:{person.role}\n" for name, person in people.items())
    file.write_text("".join(lines), encoding="utf-8")
