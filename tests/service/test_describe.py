"""What a picture shows: a job like any other, with a text in the place of pictures."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from image_generation_service import build_service
from tests.service.conftest import CATALOG, House

DESCRIBERS = """
[captioner]
title = "Captioner"
path = "captioner"
pipeline = "VisionEncoderDecoderModel"

[blip]
title = "BLIP"
path = "captioner"
pipeline = "BlipForConditionalGeneration"

[qwen]
title = "Qwen"
path = "captioner"
pipeline = "Qwen2VLForConditionalGeneration"
"""


@pytest.fixture(scope="module")
def house(make_house: Callable[..., House]) -> House:
    made = make_house(describe_model="captioner", find_model="")
    folder = made.service.parts.settings.models_folder
    (folder / "captioner").mkdir()
    (folder / "catalog.toml").write_text(CATALOG + DESCRIBERS)
    return made


def picture(house: House, colour: str = "red", size: tuple[int, int] = (90, 60)) -> str:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    answer = house.client.post("/api/inputs", data=file.getvalue(), content_type="image/png")
    return str(answer.get_json()["sha256"])


def asked(house: House, status: int = 202, key: str | None = None, **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    answer = house.client.post("/api/describe", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.get_json()


def test_an_uploaded_picture_is_described_in_either_language(house: House) -> None:
    sha256 = picture(house)
    job = house.finished(asked(house, sha256=sha256, language="zh")["id"])
    assert (job["state"], job["images"], job["request"]["model"]) == ("succeeded", [], "captioner")
    assert job["text"].startswith("90x60")
    assert job["text"].endswith(" zh")
    assert house.finished(asked(house, sha256=sha256)["id"])["text"] == job["text"].replace("zh", "en")
    events = house.client.get(f"/api/jobs/{job['id']}/events").get_data(as_text=True)
    assert job["text"] in events


def test_a_picture_of_the_library_is_described(house: House) -> None:
    image = house.image(width=128, height=64)
    assert house.finished(asked(house, image_id=image["id"])["id"])["text"].startswith("128x64")
    assert asked(house, 404, image_id="0" * 8 + "-0000-4000-8000-" + "0" * 12)["code"] == "unknown_image"


def test_a_repeated_key_gives_the_description_that_it_asked_for_before(house: House) -> None:
    sha256 = picture(house, "blue")
    first = asked(house, sha256=sha256, key="one")
    assert asked(house, 200, sha256=sha256, key="one")["id"] == first["id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "sha256"),
        ({"sha256": "a" * 64, "image_id": "b"}, "sha256"),
        ({"sha256": "a" * 64}, "inputs"),
        ({"model": "pocket"}, "task"),
        ({"model": "blip", "language": "zh"}, "language"),
        ({"prompt": "how many?"}, "prompt"),
        ({"model": "none"}, "model"),
    ],
)
def test_what_cannot_be_described_is_refused_by_name(house: House, body: dict[str, Any], field: str) -> None:
    named = body if "sha256" in body or not body else {"sha256": picture(house), **body}
    errors = asked(house, 422, **named)["errors"]
    assert [error["field"].partition(".")[0] for error in errors] == [field]


def test_a_language_is_for_descriptions_only(house: House) -> None:
    answer = house.client.post("/api/jobs", json={"prompt": "a cat", "language": "zh"})
    assert answer.get_json()["errors"][0]["field"] == "language"


def test_a_description_that_runs_is_cancelled(house: House) -> None:
    job = asked(house, sha256=picture(house), model="qwen", prompt="!slow")
    while house.client.get(f"/api/jobs/{job['id']}").get_json()["state"] == "queued":
        pass
    house.client.post(f"/api/jobs/{job['id']}/cancel")
    ended = house.finished(job["id"])
    assert (ended["state"], ended["text"]) == ("cancelled", None)


def test_an_engine_that_dies_under_a_description_gives_it_back(house: House) -> None:
    ended = house.finished(asked(house, sha256=picture(house), model="qwen", prompt="!crash")["id"])
    assert (ended["state"], ended["error"]["code"], ended["attempt"]) == ("failed", "worker_crashed", 3)
    assert house.finished(asked(house, sha256=picture(house))["id"])["state"] == "succeeded"


def test_a_description_goes_on_after_a_restart_of_the_service(house: House, make_house: Callable[..., House]) -> None:
    first = make_house(describe_model="captioner", find_model="", start_paused=True)
    settings = first.service.parts.settings
    (settings.models_folder / "captioner").mkdir()
    (settings.models_folder / "catalog.toml").write_text(CATALOG + DESCRIBERS)
    job = asked(first, sha256=picture(first))
    first.service.stop(drain_s=0)
    again = build_service(settings.model_copy(update={"start_paused": False}))
    again.parts.dispatcher.resume()  # the pause is kept, too
    try:
        again.start()
        ended = House(again, again.app.test_client()).finished(job["id"])
    finally:
        again.stop(drain_s=0)
    assert ended["text"].startswith("90x60")
