"""Pictures found by what they show: looked at by an engine while nothing else is to do."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete

from app.database import images, open_database, writing
from app.database import looks as vectors
from app.jobs import looks
from tests.service.conftest import House


@pytest.fixture(scope="module")
def house(make_house: Callable[..., House]) -> House:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "QUIET_S", 0.0)
        return make_house(find_model="pocket")


def alike(house: House, status: int = 200, **query: Any) -> Any:
    answer = house.client.get("/api/images", query_string=query)
    assert answer.status_code == status, answer.text
    return answer.get_json()


def looked_at(house: House, ids: list[str]) -> None:
    deadline = time.monotonic() + 20
    while not all(house.service.parts.library.look_of("pocket", each) for each in ids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_pictures_are_looked_at_by_themselves_and_found_by_each_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "QUIET_S", 0.0)
    made = [house.image(f"picture {number}")["id"] for number in range(3)]
    looked_at(house, made)
    for each in made:
        assert next(item["id"] for item in alike(house, like=each)["items"]) == each
    assert len(alike(house, like=made[0], limit=2)["items"]) == 2


def test_a_picture_that_nobody_looked_at_yet_is_looked_at_when_it_is_asked_for(house: House) -> None:
    image = house.image("quite new")["id"]
    assert alike(house, like=image)["items"]


def test_words_are_looked_for_and_unknown_words_find_nothing(house: House) -> None:
    image = house.image("a colour")["id"]
    looked_at_now = house.service.parts.library
    looked_at_now.keep_looks("pocket", {image: bytes([127, 129, 129] * 16)})
    assert alike(house, means="#ff0000")["items"][0]["id"] == image
    assert alike(house, means="unknown")["items"] == []


def test_a_deleted_picture_is_found_no_more(house: House) -> None:
    image = house.image("to be deleted")["id"]
    library = house.service.parts.library
    library.keep_looks("pocket", {image: bytes(range(48))})
    library.delete(image)
    assert library.look_of("pocket", image) == b""
    library.keep_looks("pocket", {image: bytes(range(48))})  # it was on its way
    assert library.look_of("pocket", image) == b""


def test_pictures_whose_rows_come_back_are_looked_at_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "QUIET_S", 0.0)
    made = [house.image(f"lost {number}")["id"] for number in range(2)]
    looked_at(house, made)
    database = open_database(house.service.parts.settings.resolved_database_url)
    with writing(database) as connection:  # as a lost database has it: the numbers begin at 1 again
        for table in (images, vectors):
            connection.execute(delete(table))
    database.dispose()
    assert alike(house, means="#ff0000")["items"] == []
    assert house.service.parts.library.rebuild().restored >= len(made)
    house.service.parts.looks._anew_at = 0.0  # ten minutes later
    looked_at(house, made)
    assert next(item["id"] for item in alike(house, like=made[0])["items"]) == made[0]


@pytest.mark.parametrize(
    ("query", "field"),
    [({"like": "a", "q": "cat"}, "q"), ({"means": "cat", "seed": 1}, "seed"), ({"like": "a", "means": "b"}, "means")],
)
def test_what_cannot_be_asked_together_is_refused_by_name(house: House, query: dict[str, Any], field: str) -> None:
    assert alike(house, 422, **query)["errors"][0]["field"] == field


def test_where_no_model_looks_that_is_said(make_house: Callable[..., House]) -> None:
    errors = alike(make_house(find_model=""), 422, means="cat")["errors"]
    assert "ATELIER_FIND_MODEL" in errors[0]["allowed"]
