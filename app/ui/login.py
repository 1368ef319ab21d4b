"""Login: names and argon2 hashes in a file, a pause after each wrong password, a page to type them in."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.core.errors import AtelierError
from app.ui.addresses import LOGIN_PATH, LOGOUT_PATH
from app.ui.markup import Markup
from app.ui.security import SESSION_COOKIE, SESSION_S, Sessions
from app.ui.strings import Strings, Words, language_of

MAX_NAME_CHARS, MAX_PASSWORD_CHARS = 100, 1000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
KEPT_FAILURES = 10_000
FREE_TRIES = 2
# The hash of a random text that was thrown away: an unknown name costs as much time as a known one.
NO_ONE = "$argon2id$v=19$m=65536,t=3,p=4$ssom7UNe3psHZzIBtHQHIA$EKDIEty4naDEiY3zLA9yCCj9oziqclz3l40/24FfMAw"


class BadAuthFile(AtelierError):
    """The login file cannot be used. It needs a line `name:hash` for each person; `ui --add-user NAME` writes one."""

    code = "bad_auth_file"


class Accounts:
    """The people of a login file, and who must wait after wrong passwords. May be used by many threads."""

    def __init__(self, file: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._hashes = read_auth_file(file)
        self._hasher = PasswordHasher()
        self._now = now
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, name: str) -> float:
        """Seconds until this name may try again; 0 = now."""
        with self._lock:
            return max(0.0, self._failures.get(name, (0, 0.0))[1] - self._now())

    def check(self, name: str, password: str) -> bool:
        """True if the password is this person's. A try that comes too early is never looked at.

        The try is counted as wrong before it is checked, so that many at once gain nothing. After two wrong ones
        the pause doubles from 1 to 60 seconds. An unknown name takes as long as a known one.
        """
        with self._lock:
            count, until = self._failures.get(name, (0, 0.0))
            if self._now() < until:
                return False
            self._count_failure(name, count + 1)
        right = self._verified(self._hashes.get(name, NO_ONE), password) and name in self._hashes
        if right:
            with self._lock:
                self._failures.pop(name, None)
        return right

    def _count_failure(self, name: str, count: int) -> None:
        doubled = FIRST_PAUSE_S * 2.0 ** min(count - FREE_TRIES - 1, 10)
        pause = 0.0 if count <= FREE_TRIES else min(doubled, LONGEST_PAUSE_S)
        self._failures[name] = (count, self._now() + pause)
        self._failures.move_to_end(name)
        while len(self._failures) > KEPT_FAILURES:
            self._failures.popitem(last=False)

    def _verified(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except VerificationError:
            return False


def read_auth_file(file: Path) -> dict[str, str]:
    """Name → argon2 hash. Raises BadAuthFile for a missing or empty file and for a line that is no such pair."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadAuthFile(f"The login file {file} cannot be read: {error}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, hashed = line.strip().partition(":")
        if not name or not hashed.startswith("$argon2"):
            raise BadAuthFile(f"Line {number} of {file} is not `name:argon2-hash`. `ui --add-user NAME` writes one.")
        try:
            PasswordHasher().check_needs_rehash(hashed)
        except InvalidHashError as error:
            raise BadAuthFile(f"Line {number} of {file} has a damaged hash.") from error
        found[name] = hashed
    if not found:
        raise BadAuthFile(f"The login file {file} names nobody. Add somebody with `ui --add-user NAME`.")
    return found


def add_user(file: Path, name: str, password: str) -> None:
    """Add a person to the login file, or give them a new password. Only the owner may read the file."""
    if not name or ":" in name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise BadAuthFile(f"{name!r} cannot be a name: no colon, 1 to {MAX_NAME_CHARS} printable characters.")
    people = read_auth_file(file) if file.exists() and file.stat().st_size else {}
    people[name] = PasswordHasher().hash(password)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text("".join(f"{name}:{hashed}\n" for name, hashed in people.items()), encoding="utf-8")


def login_routes(accounts: Accounts, sessions: Sessions, strings: Strings) -> APIRouter:
    """`GET /login` shows the form, `POST /login` opens a session, `POST /logout` ends it."""
    router = APIRouter()

    def words_of(request: Request) -> Words:
        return strings.words(language_of(request.headers.get("accept-language", "")))

    @router.get(LOGIN_PATH)
    def show(request: Request) -> Response:
        return HTMLResponse(login_page(words_of(request)))

    @router.post(LOGIN_PATH)
    def enter(
        request: Request,
        name: str = Form("", max_length=MAX_NAME_CHARS),
        password: str = Form("", max_length=MAX_PASSWORD_CHARS),
    ) -> Response:
        words = words_of(request)
        wait_s = accounts.wait_s(name)
        if wait_s > 0:
            text = words("login_wait", seconds=f"{wait_s + 0.5:.0f}")
            return HTMLResponse(login_page(words, text), 429, {"Retry-After": str(int(wait_s) + 1)})
        if not accounts.check(name, password):
            return HTMLResponse(login_page(words, words("login_wrong")), 401)
        answer = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(
            SESSION_COOKIE, sessions.open(name), max_age=int(SESSION_S), httponly=True, samesite="lax", secure=secure
        )
        return answer

    @router.post(LOGOUT_PATH)
    def leave(request: Request) -> Response:
        sessions.close(request.cookies.get(SESSION_COOKIE))
        answer = RedirectResponse(LOGIN_PATH, 303)
        answer.delete_cookie(SESSION_COOKIE)
        return answer

    return router


_PAGE = Markup("""<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {{ color-scheme: light dark; --ground: #fafaf8; --card: #fff; --text: #24251f; --line: #8f8f87; --accent: #0f766b;
  --on: #fff; --bad: #a3281f; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ground: #131416; --card: #1b1c1f; --text: #e8e8e4; --line: #6b6d72;
  --accent: #45ad9f; --on: #06211e; --bad: #ffa69e; }} }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground);
  color: var(--text); font-family: ui-sans-serif, system-ui, "Noto Sans CJK SC", sans-serif; }}
main {{ background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 28px;
  width: min(340px, calc(100vw - 76px)); }}
h1 {{ font-size: 1.25rem; margin: 0 0 18px; }} label {{ display: block; font-weight: 600; font-size: .9rem; }}
input {{ box-sizing: border-box; width: 100%; margin: 4px 0 14px; padding: 10px; font: inherit; color: inherit;
  border: 1px solid var(--line); border-radius: 8px; background: transparent; }}
button {{ width: 100%; padding: 11px; border: 0; border-radius: 8px; font: inherit; font-weight: 600;
  background: var(--accent); color: var(--on); cursor: pointer; }}
:focus-visible {{ outline: 3px solid var(--accent); outline-offset: 2px; }} .bad {{ color: var(--bad); }}
</style></head><body><main><h1>{title}</h1>{problem}<form method="post" action="login">
<label for="name">{name}</label><input id="name" name="name" autocomplete="username" required autofocus>
<label for="password">{password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">{enter}</button></form></main></body></html>""")


def login_page(words: Words, problem: str | None = None) -> str:
    """The form, with what went wrong the last time."""
    told = Markup('<p class="bad" role="alert">{}</p>').format(problem) if problem else Markup("")
    return _PAGE.format(
        language=words.language,
        title=words("login_title"),
        problem=told,
        name=words("login_name"),
        password=words("login_password"),
        enter=words("login_enter"),
    )
