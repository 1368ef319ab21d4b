"""Login: a page to type name and password in, and the addresses it sends them to."""

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.ui.accounts import MAX_NAME_CHARS, MAX_PASSWORD_CHARS, Accounts
from app.ui.addresses import LOGIN_PATH, LOGOUT_PATH
from app.ui.markup import Markup
from app.ui.security import SESSION_COOKIE, SESSION_S, Sessions
from app.ui.strings import Strings, Words
from app.ui.visitors import address_of

# A check takes 64 MiB and a tenth of a second of a processor: two at a time, and a short line of those who wait.
CHECKS_AT_ONCE, MOST_WAITING = 2, 20
BUSY_S = 3


class Checks:
    """Checks passwords beside the page's loop, two at a time; those who wait take no thread."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._limiter = CapacityLimiter(CHECKS_AT_ONCE)
        self._inside = 0

    @property
    def full(self) -> bool:
        """True while enough people wait already."""
        return self._inside >= CHECKS_AT_ONCE + MOST_WAITING

    async def check(self, name: str, password: str, address: str) -> bool:
        """As `Accounts.check`."""
        self._inside += 1
        try:
            return await to_thread.run_sync(self._accounts.check, name, password, address, limiter=self._limiter)
        finally:
            self._inside -= 1


def login_routes(accounts: Accounts, sessions: Sessions, strings: Strings) -> APIRouter:
    """`GET /login` shows the form, `POST /login` opens a session, `POST /logout` ends it."""
    router = APIRouter()
    checks = Checks(accounts)

    def words_of(request: Request) -> Words:
        return strings.for_request(request)

    @router.get(LOGIN_PATH)
    def show(request: Request) -> Response:
        return HTMLResponse(login_page(words_of(request), request.url.query))

    def told_to_wait(request: Request, wait_s: float, status: int) -> Response:
        words = words_of(request)
        text = words("login_wait", seconds=f"{wait_s + 0.5:.0f}")
        page = login_page(words, request.url.query, text)
        return HTMLResponse(page, status, {"Retry-After": str(int(wait_s) + 1)})

    @router.post(LOGIN_PATH)
    async def enter(
        request: Request,
        name: str = Form("", max_length=MAX_NAME_CHARS),
        password: str = Form("", max_length=MAX_PASSWORD_CHARS),
    ) -> Response:
        words, address = words_of(request), address_of(request)
        wait_s = accounts.wait_s(name, address)
        if wait_s > 0:
            return told_to_wait(request, wait_s, 429)
        if checks.full:
            return told_to_wait(request, BUSY_S, 503)
        if not await checks.check(name, password, address):
            return HTMLResponse(login_page(words, request.url.query, words("login_wrong")), 401)
        answer = RedirectResponse(f"/?{request.url.query}" if request.url.query else "/", 303)
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
</style></head><body><main><h1>{title}</h1>{problem}<form method="post" action="{action}">
<label for="name">{name}</label><input id="name" name="name" autocomplete="username" required autofocus>
<label for="password">{password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">{enter}</button></form></main></body></html>""")


def login_page(words: Words, asked: str = "", problem: str | None = None) -> str:
    """The form, with what went wrong the last time. `asked` is the query of the link that led here; it leads on."""
    told = Markup('<p class="bad" role="alert">{}</p>').format(problem) if problem else Markup("")
    return _PAGE.format(
        language=words.language,
        title=words("login_title"),
        problem=told,
        action=f"login?{asked}" if asked else "login",
        name=words("login_name"),
        password=words("login_password"),
        enter=words("login_enter"),
    )
