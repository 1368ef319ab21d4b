"""API keys: how they are kept, named, ended and revoked, and what their callers find."""

import hashlib
import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings
from app.service.http import key_ring
from app.service.http.key_ring import KeyRing, ring_of
from app.service.http.keys import ApiKey, ApiKeys, BadKeyFile, Scope, keys_file, new_key, read_keys
from tests.service.conftest import House

Made = Callable[..., Settings]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_new_key_is_stored_as_a_hash_that_only_the_owner_reads(make_settings: Made) -> None:
    settings = make_settings()
    settings = settings.model_copy(update={"data_folder": settings.data_folder / "not" / "there yet"})
    assert not read_keys(settings)
    key = new_key(settings, Scope.GENERATE)
    file = keys_file(settings)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in file.read_text()
    assert len(key) > 48
    file.chmod(0o644)  # as an editor might leave it
    other = new_key(settings, Scope.ADMIN)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = read_keys(settings)
    assert [found.find(one).scope for one in (key, other)] == [Scope.GENERATE, Scope.ADMIN]
    assert found.find(key + "x") is None
    assert found.find("") is None
    assert found.find(key.upper()) is None


def test_a_key_has_a_name_and_a_last_day_if_its_owner_likes(make_settings: Made) -> None:
    settings = make_settings()
    today = datetime.now(UTC).date()
    day = timedelta(days=1)
    named = new_key(settings, Scope.READ, name="frame.in-the_hall", expires=today)
    over = new_key(settings, Scope.ADMIN, expires=today - day)
    plain = new_key(settings, Scope.READ)
    found = read_keys(settings)
    key = found.find(named)
    assert key is not None
    assert (key.caller, key.expires) == ("frame.in-the_hall", today)  # the last day is one on which it works
    assert found.find(over) is None
    assert found.find(plain).caller == f"key-{hashlib.sha256(plain.encode()).hexdigest()[:12]}"
    with pytest.raises(BadKeyFile, match="name"):
        new_key(settings, Scope.READ, name="a:b")


@pytest.mark.parametrize(
    "line",
    [
        "owner:" + "0" * 64,
        "admin:secret",
        "admin:" + "z" * 64,
        "secret",
        "admin:" + "0" * 63,
        "admin:" + "0" * 64 + ":a name",
        "admin:" + "0" * 64 + ":" + "n" * 61,
        "admin:" + "0" * 64 + ":name:tomorrow",
        "admin:" + "0" * 64 + ":name:2026-01-01:more",
    ],
)
def test_a_broken_key_file_is_refused_by_line_and_never_quoted(make_settings: Made, tmp_path: Path, line: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# mine\n\n{line}\n")
    with pytest.raises(BadKeyFile, match="Line 3") as error:
        read_keys(make_settings(api_keys_file=file))
    assert line not in str(error.value)
    with pytest.raises(BadKeyFile, match="no file"):
        read_keys(make_settings(api_keys_file=tmp_path / "gone"))


def test_a_key_file_that_cannot_be_read_is_refused_by_name(make_settings: Made, tmp_path: Path) -> None:
    folder, latin = tmp_path / "folder", tmp_path / "latin"
    folder.mkdir()
    latin.write_bytes("# Zoë".encode("latin-1"))
    for file in (folder, latin):
        with pytest.raises(BadKeyFile, match=f"{file} cannot be read"):
            read_keys(make_settings(api_keys_file=file))


def test_a_scope_includes_the_ones_above_it_and_no_other() -> None:
    order = [Scope.READ, Scope.GENERATE, Scope.ADMIN]
    for number, scope in enumerate(order):
        assert [scope.includes(other) for other in order] == [True] * (number + 1) + [False] * (2 - number)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is looked at with every request."""
    monkeypatch.setattr(key_ring, "LOOK_EVERY_S", 0.0)


@pytest.mark.usefixtures("at_once")
def test_a_revoked_key_ends_and_a_new_one_works_without_a_restart(
    make_settings: Made, make_house: Callable[..., House]
) -> None:
    settings = make_settings()
    first, second = new_key(settings, Scope.ADMIN, name="first"), new_key(settings, Scope.READ, name="second")
    client = make_house(keys=ring_of(settings)).client

    def status(key: str) -> int:
        return client.get("/api/jobs", headers=bearer(key)).status_code

    assert [status(first), status(second)] == [200, 200]
    file = keys_file(settings)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(lines[1])
    assert [status(first), status(second)] == [401, 200]
    third = new_key(settings, Scope.READ)
    assert status(third) == 200
    file.write_text("nonsense\n")  # a typing mistake locks nobody out, and nobody in
    assert [status(first), status(second), status(third)] == [401, 200, 200]
    file.unlink()
    assert [status(first), status(second), status(third)] == [401, 401, 401]
    assert client.get("/api/jobs").status_code == 401


def test_the_file_is_looked_at_once_a_second_at_most(make_settings: Made) -> None:
    assert key_ring.LOOK_EVERY_S <= 5
    settings = make_settings()
    key = new_key(settings, Scope.READ)
    ring = ring_of(settings)
    assert ring.find(key)
    keys_file(settings).write_text("")
    ring._looked += 3600
    assert ring.find(key)
    ring._looked -= 3600 + key_ring.LOOK_EVERY_S
    assert ring.find(key) is None


def test_a_service_without_keys_stays_open_until_it_is_started_again(
    make_settings: Made, make_house: Callable[..., House]
) -> None:
    settings = make_settings()
    house = make_house(keys=ring_of(settings))
    new_key(settings, Scope.ADMIN)
    assert house.client.get("/api/jobs").status_code == 200


@pytest.mark.usefixtures("at_once")
def test_the_stream_of_a_revoked_key_ends(make_settings: Made, make_house: Callable[..., House]) -> None:
    settings = make_settings()
    key = new_key(settings, Scope.GENERATE)
    new_key(settings, Scope.ADMIN)
    house = make_house(keys=ring_of(settings), start_paused=True)
    job = house.client.post("/api/jobs", json={"prompt": "x"}, headers=bearer(key)).get_json()
    answer = house.client.get(f"/api/jobs/{job['id']}/events", headers=bearer(key))
    chunks = iter(answer.response)
    assert next(chunks) == b": hello\n\n"
    assert b"event: queued" in next(chunks)
    file = keys_file(settings)
    file.write_text(file.read_text().splitlines()[1] + "\n")
    assert list(chunks) == []
    answer.close()


def test_an_admin_sees_the_keys_and_when_they_were_used(make_settings: Made, make_house: Callable[..., House]) -> None:
    settings = make_settings()
    admin = new_key(settings, Scope.ADMIN, name="me", expires=date(2999, 1, 1))
    reader = new_key(settings, Scope.READ, name="hall")
    client = make_house(keys=ring_of(settings)).client
    told = client.get("/api/status", headers=bearer(admin)).get_json()["keys"]
    assert [(key["caller"], key["scope"], key["expires"]) for key in told] == [
        ("me", "admin", "2999-01-01"),
        ("hall", "read", None),
    ]
    assert told[0]["last_used"] is not None
    assert told[1]["last_used"] is None
    assert client.get("/api/status", headers=bearer(reader)).get_json()["keys"] is None
    told = client.get("/api/status", headers=bearer(admin)).get_json()["keys"]
    assert told[1]["last_used"] is not None
    assert admin not in json.dumps(told)


def a_ring(**keys: Scope) -> KeyRing:
    """Keys whose secret is their name."""
    return KeyRing(
        ApiKeys(tuple(ApiKey(scope, hashlib.sha256(name.encode()).digest(), name) for name, scope in keys.items()))
    )


def test_cancel_and_favourites_are_for_ones_own_jobs_unless_one_is_admin(make_house: Callable[..., House]) -> None:
    keys = a_ring(ann=Scope.GENERATE, bob=Scope.GENERATE, boss=Scope.ADMIN)
    house = make_house(keys=keys, start_paused=True)
    submit: Any = lambda who: house.client.post("/api/jobs", json={"prompt": "x"}, headers=bearer(who)).get_json()["id"]  # noqa: E731
    cancel: Any = lambda job, who: house.client.post(f"/api/jobs/{job}/cancel", headers=bearer(who)).status_code  # noqa: E731
    mine, hers = submit("bob"), submit("ann")
    assert cancel(hers, "bob") == 403
    assert house.client.get(f"/api/jobs/{hers}", headers=bearer("bob")).get_json()["state"] == "queued"
    assert cancel(mine, "bob") == 200
    assert cancel("00000000-0000-0000-0000-000000000000", "boss") == 404
    house.client.post("/api/queue/resume", headers=bearer("boss"))
    while (job := house.client.get(f"/api/jobs/{hers}", headers=bearer("boss")).get_json())["state"] != "succeeded":
        assert job["state"] in ("queued", "running")
    image = f"/api/images/{job['images'][0]['id']}"
    for who, status in (("bob", 403), ("ann", 200), ("boss", 200)):
        assert house.client.patch(image, json={"favourite": True}, headers=bearer(who)).status_code == status
    other = submit("ann")
    assert cancel(other, "boss") == 200


def test_one_key_may_not_fill_the_queue_and_the_next_keys_job_is_next(make_house: Callable[..., House]) -> None:
    house = make_house(keys=a_ring(flood=Scope.GENERATE, guest=Scope.GENERATE), start_paused=True, max_queue_per_key=5)
    submit: Any = lambda who: house.client.post("/api/jobs", json={"prompt": who}, headers=bearer(who))  # noqa: E731
    assert [submit("flood").status_code for _ in range(7)] == [202] * 5 + [429] * 2
    assert "This key has 5 jobs" in submit("flood").get_json()["detail"]
    answer = submit("guest")
    assert answer.status_code == 202
    assert answer.get_json()["position"] == 2


def test_one_key_with_all_its_seats_taken_leaves_the_others_theirs(make_house: Callable[..., House]) -> None:
    house = make_house(keys=a_ring(hog=Scope.GENERATE, guest=Scope.READ), start_paused=True, max_event_streams=6)
    job = house.client.post("/api/jobs", json={"prompt": "x"}, headers=bearer("hog")).get_json()["id"]
    open_ones = []

    def stream(who: str) -> int:
        answer = house.client.get(f"/api/jobs/{job}/events", headers=bearer(who))
        if answer.status_code == 200:
            open_ones.append(answer)
        return answer.status_code

    assert [stream("hog") for _ in range(5)] == [200, 200, 200, 503, 503]
    waiting = house.client.post("/api/generate", json={"prompt": "x"}, headers=bearer("hog"))
    assert waiting.status_code == 503
    assert [stream("guest") for _ in range(4)] == [200, 200, 200, 503]
    for answer in open_ones:
        answer.close()
    assert house.service.parts.seats.taken == 0
    assert os.environ.get("ATELIER_API_KEY") is None
