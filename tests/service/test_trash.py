"""The doors of the trash."""

from collections.abc import Callable

import pytest

from tests.service.conftest import House


@pytest.fixture(scope="module")
def house(make_house: Callable[..., House]) -> House:
    """A house whose trash keeps pictures for a week."""
    return make_house(trash_days=7)


def test_a_deleted_picture_is_listed_in_the_trash_and_had_back(house: House) -> None:
    image = house.image("thrown away")
    assert house.client.delete(f"/api/images/{image['id']}").status_code == 204
    assert house.client.get(image["url"]).status_code == 404
    trash = house.client.get("/api/trash").get_json()
    assert trash["days"] == house.client.get("/api/status").get_json()["trash_days"] == 7
    assert trash["items"][0]["prompt"] == "thrown away"
    small = house.client.get(f"/api/trash/{image['id']}/thumbnail.webp")
    assert (small.mimetype, small.headers["Cache-Control"]) == ("image/webp", "no-store")
    assert small.data.startswith(b"RIFF")
    assert house.client.post(f"/api/trash/{image['id']}/restore").get_json()["prompt"] == "thrown away"
    assert house.client.get(image["url"]).status_code == 200
    assert house.client.get(f"/api/trash/{image['id']}/thumbnail.webp").status_code == 404
    assert house.client.post(f"/api/trash/{image['id']}/restore").status_code == 404


def test_a_picture_is_deleted_for_good_where_that_is_asked_for(house: House) -> None:
    image = house.image("gone at once")
    assert house.client.delete(f"/api/images/{image['id']}?forever=true").status_code == 204
    assert image["id"] not in {item["id"] for item in house.client.get("/api/trash").get_json()["items"]}


def test_the_trash_is_emptied(house: House) -> None:
    image = house.image("emptied")
    house.client.delete(f"/api/images/{image['id']}")
    assert house.client.delete("/api/trash").get_json()["removed"] >= 1
    assert house.client.get("/api/trash").get_json()["items"] == []
