"""What a picture was made from, and what was made from it."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image

from tests.service.conftest import House


def kept(house: House, data: bytes) -> str:
    """The hash of a picture to start from."""
    return str(house.client.post("/api/inputs", data=data, content_type="image/png").get_json()["sha256"])


def chain(house: House, image: Any) -> Any:
    return house.client.get(f"/api/images/{image['id']}/chain").get_json()


def test_the_library_knows_parents_and_children_and_says_which_are_gone(make_house: Callable[..., House]) -> None:
    house = make_house()
    first = house.image("the first", seed=5)
    start = {"sha256": kept(house, house.client.get(first["url"]).data)}
    mask = BytesIO()
    Image.new("L", (64, 64), 255).save(mask, "PNG")
    masked = [start, {"sha256": kept(house, mask.getvalue()), "role": "mask"}]
    second = house.image("painted over", task="inpaint", inputs=masked, strength=0.5)
    larger = house.image("larger", task="upscale", inputs=[start], scale=2)
    varied = house.image("the first", seed=5, subseed_strength=0.3, extra={"variation_of": first["id"]})
    house.image("the first", seed=5)  # alike, and made from nothing
    told = chain(house, first)
    assert told["made_from"] == []
    assert [image["id"] for image in told["became"]] == [varied["id"], larger["id"], second["id"]]
    [parent] = chain(house, second)["made_from"]
    assert (parent["role"], parent["image_id"], parent["image"]["id"]) == ("image", first["id"], first["id"])
    [parent] = chain(house, varied)["made_from"]
    assert (parent["role"], parent["sha256"], parent["image"]["id"]) == ("variation", None, first["id"])
    assert house.client.delete(f"/api/images/{first['id']}").status_code == 204
    for child in (second, larger, varied):
        [parent] = chain(house, child)["made_from"]
        assert (parent["image_id"], parent["image"], parent["deleted"]) == (first["id"], None, True)


def test_a_part_that_was_cut_out_is_of_the_same_picture(house: House) -> None:
    first = house.image("to be cut", width=128, height=64)
    whole = kept(house, house.client.get(first["url"]).data)
    box = {"left": 8, "top": 0, "width": 64, "height": 64}
    answer = house.client.post(f"/api/inputs/{whole}/crop", json=box)
    part = answer.get_json()
    assert (answer.status_code, part["width"], part["height"]) == (201, 64, 64)
    assert part["said"] == house.client.get(f"/api/inputs/{whole}").get_json()["said"]
    pixels = [Image.open(BytesIO(house.client.get(f"/api/inputs/{name}.png").data)) for name in (whole, part["sha256"])]
    assert pixels[0].crop((8, 0, 72, 64)).tobytes() == pixels[1].tobytes()
    made = house.image("from a part", task="image", inputs=[{"sha256": part["sha256"]}])
    [parent] = chain(house, made)["made_from"]
    assert parent["image"]["id"] == first["id"]
    for wrong in ({"left": 65}, {"top": 1}, {"width": 0}, {"height": -1}, {"left": 1.5}):
        refused = house.client.post(f"/api/inputs/{whole}/crop", json=box | wrong)
        assert refused.status_code == 422, wrong
    assert house.client.post(f"/api/inputs/{'0' * 64}/crop", json=box).status_code == 404


def test_a_picture_from_elsewhere_is_a_parent_without_an_image(house: House) -> None:
    photo = BytesIO()
    Image.new("RGB", (64, 64), "red").save(photo, "PNG")
    sha256 = kept(house, photo.getvalue())
    made = house.image("from a photo", task="image", inputs=[{"sha256": sha256}])
    [parent] = chain(house, made)["made_from"]
    assert parent == {"role": "image", "sha256": sha256, "image_id": None, "image": None, "deleted": False}
    assert house.client.get("/api/images/no-such-id/chain").status_code == 404
