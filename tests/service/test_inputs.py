"""Pictures to start from over HTTP: uploaded, looked at, refused by name."""

import hashlib
import io
from collections.abc import Callable

import pytest
from PIL import Image

from app.library.library import CREDENTIALS_LOST
from tests.inputs.conftest import picture
from tests.picture.test_convert import with_credentials
from tests.service.conftest import House


def test_an_upload_is_kept_and_comes_back(house: House) -> None:
    sent = house.client.post("/api/inputs", data=picture(3), content_type="image/png")
    kept = sent.get_json()
    assert (sent.status_code, sent.headers["Location"]) == (201, f"/api/inputs/{kept['sha256']}")
    assert (kept["width"], kept["height"], kept["mode"], kept["said"]) == (8, 6, "RGB", {})
    assert house.client.get(sent.headers["Location"]).get_json() == kept
    file = house.client.get(f"/api/inputs/{kept['sha256']}.png")
    assert (file.content_type, hashlib.sha256(file.data).hexdigest()) == ("image/png", kept["sha256"])
    assert file.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    unchanged = house.client.get(f"/api/inputs/{kept['sha256']}.png", headers={"If-None-Match": file.headers["ETag"]})
    assert (unchanged.status_code, unchanged.data) == (304, b"")


def test_the_recipe_of_a_picture_of_ours_is_said(house: House) -> None:
    ours = house.client.get(house.image("a lighthouse")["url"]).data
    kept = house.client.post("/api/inputs", data=ours, content_type="application/octet-stream").get_json()
    assert kept["said"]["recipe"]["request"]["prompt"] == "a lighthouse"
    assert kept["said"]["labels"]["ai_generated"] is True


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", picture()[:60], b"\xff\xd8\xff\xe0"])
def test_what_is_no_picture_is_refused_with_the_limits(house: House, data: bytes) -> None:
    answer = house.client.post("/api/inputs", data=data, content_type="image/png")
    problem = answer.get_json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_request")
    assert problem["errors"][0]["field"] == "picture"
    assert "at most 20971520 bytes and 16777216 pixels" in problem["errors"][0]["allowed"]


def test_too_large_and_of_another_type_is_said_so(make_house: Callable[..., House]) -> None:
    house = make_house(max_input_bytes=2048, max_body_bytes=10_000)
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 100).save(stream, "PNG")
    refused = house.client.post("/api/inputs", data=stream.getvalue(), content_type="image/png")
    assert (refused.status_code, "at most 2048 bytes" in refused.text) == (422, True)
    assert house.client.post("/api/inputs", data=bytes(10_001), content_type="image/png").status_code == 413
    assert house.client.post("/api/inputs", data=picture(), content_type="text/html").status_code == 415


def test_a_full_store_says_so_and_takes_no_more(make_house: Callable[..., House]) -> None:
    house = make_house(inputs_max_bytes=2**20)
    for number in range(3):
        stream = io.BytesIO()
        Image.effect_noise((700, 700), 100 + number).save(stream, "PNG")
        answer = house.client.post("/api/inputs", data=stream.getvalue(), content_type="image/png")
    assert (answer.status_code, answer.get_json()["code"]) == (507, "inputs_full")
    assert "ATELIER_INPUTS_MAX_BYTES" in answer.get_json()["hint"]


@pytest.mark.parametrize("sha256", ["0" * 64, "0" * 63, "..", "%2e%2e%2f", "0" * 64 + "x", "A" * 64])
def test_an_unknown_picture_is_404_never_a_file(house: House, sha256: str) -> None:
    for path in (f"/api/inputs/{sha256}", f"/api/inputs/{sha256}.png"):
        assert house.client.get(path).status_code in (404, 422)


def test_a_picture_made_of_one_with_content_credentials_says_that_they_are_lost(house: House) -> None:
    kept = house.client.post("/api/inputs", data=with_credentials("jpeg"), content_type="image/jpeg").get_json()
    assert kept["said"]["c2pa"] is True
    start = {"task": "image", "inputs": [{"role": "image", "sha256": kept["sha256"]}]}
    made = house.image("a red apple", **start)
    assert made["notes"][-1] == CREDENTIALS_LOST
