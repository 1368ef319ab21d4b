"""Who gets in: passwords, pauses, sessions."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from app.ui.accounts import (
    FREE_TRIES,
    FREE_TRIES_OF_AN_ADDRESS,
    KEPT_FAILURES,
    Accounts,
    BadAuthFile,
    Failures,
    add_user,
    read_auth_file,
)
from app.ui.login import CHECKS_AT_ONCE, MOST_WAITING, login_routes
from app.ui.roles import Role
from app.ui.security import MAX_SESSIONS, SESSION_COOKIE, SESSION_S, Sessions
from app.ui.strings import Strings
from app.ui.visitors import address_of
from tests.loops import run_apart
from tests.running import RunningPage, RunningService

# As real as the others, and checked in no time.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HERE, THERE = "10.0.0.1", "10.0.0.2"


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Accounts:
    """Ada and thirty others, with the password `right`."""
    names = ["ada", *(f"name-{number}" for number in range(30))]
    hashed = CHEAP.hash("right")
    (tmp_path / "people").write_text("".join(f"{name}:{hashed}\n" for name in names))
    return Accounts(tmp_path / "people", now=clock)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """Called before each real check of a password."""
    called: list[Callable[[], None]] = []
    verify = PasswordHasher.verify

    def noted(self: PasswordHasher, *arguments: Any) -> bool:
        for call in called:
            call()
        return verify(self, *arguments)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    return called


def test_wrong_passwords_make_the_next_try_wait_longer_and_longer(accounts: Accounts, clock: Clock) -> None:
    waits = []
    for _ in range(9):
        clock.now += accounts.wait_s("ada", HERE)
        assert not accounts.check("ada", "wrong", HERE)
        waits.append(accounts.wait_s("ada", HERE))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 60]
    assert not accounts.check("ada", "right", HERE)  # too early is never looked at
    clock.now += 60
    assert accounts.check("ada", "right", HERE)
    assert accounts.wait_s("ada", HERE) == 0
    for _ in range(FREE_TRIES):  # all is forgiven
        accounts.check("ada", "wrong", HERE)
    assert accounts.wait_s("ada", HERE) == 0


def test_a_stranger_locks_nobody_out_who_sits_elsewhere(accounts: Accounts) -> None:
    for _ in range(FREE_TRIES + 1):
        assert not accounts.check("ada", "wrong", THERE)
    assert accounts.wait_s("ada", THERE) > 0
    assert accounts.wait_s("ada", HERE) == 0
    assert accounts.check("ada", "right", HERE)
    assert accounts.wait_s("ada", THERE) > 0  # nor does ada's coming help the stranger


def test_one_address_cannot_try_every_name(accounts: Accounts, checks: list[Callable[[], None]]) -> None:
    looked_at: list[int] = []
    checks.append(lambda: looked_at.append(1))
    for number in range(FREE_TRIES_OF_AN_ADDRESS + 5):
        accounts.check(f"name-{number}", "wrong", THERE)
    assert len(looked_at) == FREE_TRIES_OF_AN_ADDRESS + 1
    assert accounts.wait_s("ada", THERE) > 0
    assert accounts.wait_s("ada", HERE) == 0


def test_an_unknown_name_is_checked_like_a_known_one(accounts: Accounts, checks: list[Callable[[], None]]) -> None:
    looked_at: list[int] = []
    checks.append(lambda: looked_at.append(1))
    assert not accounts.check("nobody", "right", HERE)
    assert not accounts.check("ada", "wrong", HERE)
    assert len(looked_at) == 2
    assert accounts.role("nobody") is None


def test_a_try_counts_as_wrong_before_it_is_checked(accounts: Accounts, checks: list[Callable[[], None]]) -> None:
    waits: list[float] = []
    checks.append(lambda: waits.append(accounts.wait_s("ada", HERE)))
    for _ in range(FREE_TRIES):
        accounts.check("ada", "wrong", HERE)
    assert accounts.check("ada", "right", HERE)
    assert waits == [0, 0, 1]


def test_the_memory_for_failures_is_bounded() -> None:
    failures = Failures(0)
    for number in range(KEPT_FAILURES + 1):
        failures.count(str(number), now=0)
    assert failures.wait_s("0", now=0) == 0
    assert failures.wait_s("1", now=0) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "ada:plain",
        ":HASH",
        ":$argon2id$x",
        "ada:$argon2id$broken",
        "# nobody\n",
        "ada:HASH:root",
        "ada:HASH:admin:x",
    ],
)
def test_a_login_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "people"
    file.write_text(text.replace("HASH", CHEAP.hash("x")))
    with pytest.raises(BadAuthFile):
        read_auth_file(file)


def test_a_login_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    folder, latin = tmp_path / "folder", tmp_path / "latin"
    folder.mkdir()
    latin.write_bytes("Zoë".encode("latin-1"))
    for file in (tmp_path / "gone", folder, latin):
        with pytest.raises(BadAuthFile, match=f"{file} cannot be read"):
            read_auth_file(file)


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "#ada", "x" * 101, "\x1b[2J"])
def test_a_name_that_would_break_the_login_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadAuthFile):
        add_user(tmp_path / "people", name, "x")


def test_a_name_may_have_a_hundred_characters(tmp_path: Path) -> None:
    add_user(tmp_path / "people", "x" * 100, "x")
    assert list(read_auth_file(tmp_path / "people")) == ["x" * 100]


def test_a_login_file_says_what_each_person_may_do_and_keeps_the_others(tmp_path: Path) -> None:
    file = tmp_path / "people"
    file.write_text(f"old:{CHEAP.hash('x')}\n")
    add_user(file, "ada", "x", Role.READ)
    add_user(file, "bob", "x", Role.GENERATE)
    add_user(file, "ada", "y", Role.GENERATE)
    assert file.stat().st_mode & 0o077 == 0
    roles = {name: person.role for name, person in read_auth_file(file).items()}
    assert roles == {"old": Role.ADMIN, "ada": Role.GENERATE, "bob": Role.GENERATE}
    assert Accounts(file).check("ada", "y", HERE)
    assert not Accounts(file).check("ada", "x", HERE)


def test_a_session_ends_after_its_days_and_at_log_out(clock: Clock) -> None:
    sessions = Sessions(now=clock)
    first, second = sessions.open("ada"), sessions.open("bob")
    assert first != second
    assert sessions.name(first) == "ada"
    assert sessions.name("guessed") is sessions.name(None) is sessions.name("") is None
    sessions.close(second)
    assert sessions.name(second) is None
    clock.now = SESSION_S - 1
    assert sessions.name(first) == "ada"
    clock.now = SESSION_S
    assert sessions.name(first) is None


def test_the_oldest_of_too_many_sessions_ends() -> None:
    sessions = Sessions()
    tokens = [sessions.open("ada") for _ in range(MAX_SESSIONS + 1)]
    assert sessions.name(tokens[0]) is None
    assert sessions.name(tokens[1]) == "ada"


def test_many_logins_at_once_are_checked_two_at_a_time_and_the_rest_told_to_come_back(
    accounts: Accounts, checks: list[Callable[[], None]]
) -> None:
    app = FastAPI()
    app.include_router(login_routes(accounts, Sessions(), Strings()))
    lock, now, most = threading.Lock(), [0], [0]
    gate = threading.Event()

    def begin() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        gate.wait(30)
        with lock:
            now[0] -= 1

    checks.append(begin)

    async def enter(number: int) -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(f"10.0.1.{number}", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://page", verify=False) as caller:
            answer = await caller.post("/login", data={"name": "ada", "password": "wrong"})
            if answer.status_code == 503:
                gate.set()  # the line is full: now the checks may end
            return answer

    async def all_at_once() -> list[httpx.Response]:
        return await asyncio.gather(*(enter(number) for number in range(CHECKS_AT_ONCE + MOST_WAITING + 4)))

    answers = run_apart(all_at_once())
    statuses = [answer.status_code for answer in answers]
    assert most[0] <= CHECKS_AT_ONCE
    assert statuses.count(503) == 4
    assert statuses.count(401) == CHECKS_AT_ONCE + MOST_WAITING
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers if answer.status_code == 503)


def test_who_logs_out_is_led_to_the_login_without_a_cookie_and_the_session_is_over(accounts: Accounts) -> None:
    app, sessions = FastAPI(), Sessions()
    app.include_router(login_routes(accounts, sessions, Strings()))

    async def in_and_out() -> tuple[str | None, httpx.Response]:
        transport = httpx.ASGITransport(app, client=(HERE, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://page", verify=False) as caller:
            entered = await caller.post("/login", data={"name": "ada", "password": "right"})
            return entered.cookies.get(SESSION_COOKIE), await caller.post("/logout")

    token, left = run_apart(in_and_out())
    assert token is not None
    assert sessions.name(token) is None
    assert (left.status_code, left.headers["Location"]) == (303, "/login")
    assert f'{SESSION_COOKIE}=""' in left.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"), (None, ""),
    ],
)  # fmt: skip
def test_an_address_is_counted_by_what_one_household_has(host: str | None, counted: str) -> None:
    scope: dict[str, Any] = {"type": "http", "client": (host, 1) if host else None, "headers": []}
    assert address_of(HTTPConnection(scope)) == counted


def test_a_proxy_is_believed_only_if_the_owner_named_it(tmp_path: Path, service: RunningService) -> None:
    people = tmp_path / "people"
    add_user(people, "ada", "x")
    wrong = {"name": "ada", "password": "wrong"}
    with (
        RunningPage(tmp_path / "plain", service.url, "--auth-file", str(people)) as plain,
        RunningPage(tmp_path / "proxied", service.url, "--auth-file", str(people), UI_PROXIES="127.0.0.1") as proxied,
        requests.Session() as http,
    ):
        http.trust_env = False
        for page, told in ((plain, {401, 429}), (proxied, {401})):
            seen = set[int]()
            for number in range(FREE_TRIES + 8):  # each pause is twice as long: a slow machine meets a later one
                sent = {"X-Forwarded-For": f"10.0.0.{number}", "X-Forwarded-Host": "evil.example"}
                seen.add(http.post(page.url + "/login", data=wrong, headers=sent).status_code)
            assert seen == told
            if page is proxied:
                sent["X-Forwarded-For"] = "10.9.9.9"
                entered = http.post(page.url + "/login", data=wrong | {"password": "x"}, headers=sent)
                assert entered.status_code == 200
                assert "evil.example" not in entered.text


def test_a_blank_line_or_a_remark_in_the_login_file_hides_nobody_below_it(tmp_path: Path) -> None:
    file = tmp_path / "people"
    add_user(file, "anna", "a long password")
    first = file.read_text()
    file.unlink()
    add_user(file, "bert", "another password", Role.ADMIN)
    file.write_text(f"# the team\n\n{first}\n   \n# later\n{file.read_text()}")
    assert set(read_auth_file(file)) == {"anna", "bert"}
