"""The library over HTTP."""

import hashlib
from io import BytesIO

import pytest
from PIL import Image

from tests.service.conftest import House


@pytest.fixture(scope="module")
def image_id(house: House) -> str:
    """One saved image of a prompt that no other test uses."""
    saved: str = house.image("a lighthouse in the fog", seed=42)["id"]
    return saved


def test_the_png_is_served_byte_for_byte(house: House, image_id: str) -> None:
    answer = house.client.get(f"/images/{image_id}.png")
    row = house.client.get(f"/api/images/{image_id}").get_json()
    assert answer.content_type == "image/png"
    assert hashlib.sha256(answer.data).hexdigest() == row["sha256"]
    assert len(answer.data) == row["bytes"] == answer.content_length
    assert answer.headers["Content-Disposition"] == f'inline; filename="{image_id}.png"'
    again = house.client.get(f"/images/{image_id}.png", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    head = house.client.head(f"/images/{image_id}.png")
    assert (head.status_code, head.data) == (200, b"")


@pytest.mark.parametrize(("kind", "ending"), [("jpeg", "jpg"), ("webp", "webp"), ("avif", "avif")])
def test_a_picture_comes_in_other_formats_with_its_recipe(house: House, image_id: str, kind: str, ending: str) -> None:
    answer = house.client.get(f"/images/{image_id}.png?format={kind}&quality=80")
    assert answer.content_type == f"image/{kind}"
    assert answer.headers["Content-Disposition"] == f'inline; filename="{image_id}.{ending}"'
    told = house.client.post("/api/inspect", data=answer.data, content_type=answer.content_type).get_json()
    assert told["recipe"] == house.client.get(f"/api/images/{image_id}").get_json()["recipe"]
    other = house.client.get(f"/images/{image_id}.png?format={kind}&quality=20")
    assert other.headers["ETag"] != answer.headers["ETag"]
    assert len(other.data) < len(answer.data)


@pytest.mark.parametrize("query", ["format=gif", "quality=0", "quality=101", "format=jpeg&quality=much"])
def test_a_format_or_quality_that_is_none_is_refused_by_name(house: House, image_id: str, query: str) -> None:
    answer = house.client.get(f"/images/{image_id}.png?{query}")
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == query.split("&")[-1].split("=")[0]


@pytest.mark.parametrize("width", [256, 512])
def test_a_thumbnail_is_a_webp(house: House, image_id: str, width: int) -> None:
    answer = house.client.get(f"/images/{image_id}/thumbnail.webp?w={width}")
    assert answer.content_type == "image/webp"
    with Image.open(BytesIO(answer.data)) as picture:
        assert picture.format == "WEBP"
    assert house.client.get(f"/images/{image_id}/thumbnail.webp").status_code == 200


@pytest.mark.parametrize("width", ["257", "0", "-1", "big", "256.5", ""])
def test_only_two_thumbnail_widths_exist(house: House, image_id: str, width: str) -> None:
    answer = house.client.get(f"/images/{image_id}/thumbnail.webp?w={width}")
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "w"


def test_images_are_found_by_prompt_model_seed_and_mark(house: House, image_id: str) -> None:
    def found(query: str) -> list[str]:
        return [item["id"] for item in house.client.get(f"/api/images?{query}").get_json()["items"]]

    assert found("q=lighthouse") == found("q=fog&seed=42&model=pocket") == [image_id]
    assert found("q=nowhere") == found("q=lighthouse&model=other") == found("q=lighthouse&seed=1") == []
    assert found("favourite=true") == []
    marked = house.client.patch(f"/api/images/{image_id}", json={"favourite": True}).get_json()
    assert marked["favourite"] is True
    assert found("favourite=true") == [image_id]
    assert image_id not in found("favourite=false")


def test_a_change_must_be_true_or_false(house: House, image_id: str) -> None:
    for body in ({"favourite": "yes"}, {"favourite": 1}, {}, {"favourite": True, "prompt": "x"}):
        assert house.client.patch(f"/api/images/{image_id}", json=body).status_code == 422


def test_images_of_one_prompt_are_grouped_with_their_time(house: House) -> None:
    job = house.finished(house.submit("two of a kind", num_images=2)["id"])
    page = house.client.get("/api/images?group=prompt&q=kind").get_json()
    assert len(page["items"]) == 1
    group = page["items"][0]
    assert (group["prompt"], group["job_id"], group["count"]) == ("two of a kind", job["id"], 2)
    assert {image["id"] for image in group["images"]} == {image["id"] for image in job["images"]}
    assert group["seconds"] > 0


def test_pages_go_on_behind_the_cursor(house: House) -> None:
    made = [house.image(f"page number {number}")["id"] for number in range(3)]
    first = house.client.get("/api/images?q=page&limit=2").get_json()
    second = house.client.get(f"/api/images?q=page&limit=2&cursor={first['next']}").get_json()
    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None
    assert house.client.get("/api/images?cursor=nonsense").status_code == 422


def test_pictures_are_found_by_size_and_day_and_counted(house: House) -> None:
    for width in (64, 64, 128):
        house.finished(house.submit(prompt="zebrafish", width=width)["id"])

    def counted(query: str) -> int:
        page = house.client.get(f"/api/images?q=zebrafish&limit=1&count=true&{query}").get_json()
        assert len(page["items"]) == min(1, page["count"])
        return int(page["count"])

    assert (counted(""), counted("width=64"), counted("width=128&height=64"), counted("width=7")) == (3, 2, 1, 0)
    assert (counted("after=2020-01-01"), counted("after=2999-01-01")) == (3, 0)
    assert house.client.get("/api/images?q=zebrafish").get_json()["count"] is None


@pytest.mark.parametrize(
    "query",
    [
        "after=soon",
        "width=0",
        "group=prompt&after=2026-01-01",
        "group=prompt&order=oldest",
        "order=largest",
        "limit=0",
        "limit=201",
        "seed=-1",
        "favourite=perhaps",
        "group=model",
        "group=prompt&seed=1",
    ],
)
def test_a_wrong_search_names_the_field(house: House, query: str) -> None:
    answer = house.client.get(f"/api/images?{query}")
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] in query


def test_a_deleted_image_is_gone_and_deleting_twice_is_fine(house: House) -> None:
    image = house.image("soon gone")
    for _ in range(2):
        assert house.client.delete(f"/api/images/{image['id']}").status_code == 204
    assert house.client.get(image["url"]).status_code == 404
    assert house.client.get(f"/api/images/{image['id']}").status_code == 404


def test_a_picture_of_ours_tells_its_whole_recipe(house: House, image_id: str) -> None:
    png = house.client.get(f"/images/{image_id}.png").data
    for content_type in ("image/png", "application/octet-stream"):
        told = house.client.post("/api/inspect", data=png, content_type=content_type).get_json()
        assert told["kind"] == "atelier"
        assert told["recipe"]["request"]["prompt"] == "a lighthouse in the fog"
        assert told["request"]["seed"] == 42
        assert told["parameters"].startswith("a lighthouse in the fog")
        assert told["labels"]


def test_a_picture_without_a_recipe_is_said_so_and_rubbish_refused(house: House) -> None:
    stream = BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    told = house.client.post("/api/inspect", data=stream.getvalue(), content_type="image/png").get_json()
    assert (told["kind"], told["recipe"]) == ("none", None)
    for data in (b"", b"<html>", stream.getvalue()[:30]):
        answer = house.client.post("/api/inspect", data=data, content_type="image/png")
        assert answer.status_code == 422
        assert answer.get_json()["code"] == "unreadable_picture"
