"""Control over HTTP: units of a job, their pictures kept, and what a control model sees shown before."""

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from app.core.control import Preprocessor
from app.core.schema import GenerationRequest
from app.picture.edges import hint
from tests.picture.test_control import PICTURE
from tests.service.conftest import House


@pytest.fixture(scope="module")
def held(house: House) -> House:
    """The house with two control models in its models folder."""
    models = house.service.parts.catalog.folder
    for name, more in (("my-canny", {}), ("big-depth", {"addition_embed_type": "text_time"})):
        (models / name).mkdir()
        (models / name / "config.json").write_text(json.dumps({"_class_name": "ControlNetModel", **more}))
        (models / name / "diffusion_pytorch_model.safetensors").write_bytes(b"0123456789")
    listed = models / "catalog.toml"
    absent = '[stands]\ntitle = "S"\nrepository = "a/b"\npipeline = "VitPoseForPoseEstimation"\ncontrol = "openpose"\n'
    listed.write_text(f"{listed.read_text()}\n{absent}")
    (models / "deep").mkdir()
    (models / "deep" / "config.json").write_text(json.dumps({"architectures": ["DepthAnythingForDepthEstimation"]}))
    (models / "deep" / "model.safetensors").write_bytes(b"0123456789")
    return house


def small_png() -> str:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


@pytest.fixture(scope="module")
def sha256(held: House) -> str:
    stream = io.BytesIO()
    PICTURE.save(stream, "PNG")
    kept: str = held.client.post("/api/inputs", data=stream.getvalue(), content_type="image/png").get_json()["sha256"]
    return kept


def test_a_folder_with_a_control_model_is_listed_with_what_it_reads_and_holds(held: House) -> None:
    models = {model["key"]: model for model in held.client.get("/api/models").get_json()["items"]}
    said = ("tasks", "pipeline", "attaches_to", "control", "size_bytes", "installed")
    assert [models["my-canny"][name] for name in said] == [
        ["control"], "ControlNetModel", "StableDiffusionPipeline", "canny", 10, True,
    ]  # fmt: skip
    assert models["big-depth"]["attaches_to"] == "StableDiffusionXLPipeline"
    assert models["pocket"]["attaches_to"] is None


def test_a_job_with_control_keeps_its_picture_and_its_recipe_names_all_of_it(held: House, sha256: str) -> None:
    unit = {"model": "my-canny", "image": sha256, "preprocessor": "canny", "weight": 0.8, "end": 0.5}
    job = held.submit("a cat", control=[unit])
    assert job["request"]["control"] == [{**unit, "start": 0.0}]
    image = held.finished(job["id"])["images"][0]
    saved = held.client.get(f"/api/images/{image['id']}").get_json()
    again = held.client.post("/api/jobs", json={**saved["recipe"]["request"]}).get_json()
    assert again["request"]["control"] == job["request"]["control"]
    found = held.client.post(
        "/api/inspect", data=held.client.get(image["url"]).data, content_type="image/png"
    ).get_json()
    assert found["request"]["control"] == job["request"]["control"]
    assert 'ControlNet 0: "Module: canny, Model: my-canny' in found["parameters"]


@pytest.mark.parametrize(
    ("unit", "field", "words"),
    [
        ({"image": "0" * 64}, "control.0.image", "POST /api/inputs"),
        ({"model": "none"}, "control.0.model", "Known models"),
        ({"model": "pocket"}, "control.0.model", "a control model"),
        ({"model": "big-depth"}, "control.0.model", "made for Stable Diffusion XL"),
        ({"preprocessor": "magic"}, "control.0.preprocessor", "canny"),
        ({"weight": 2.5}, "control.0.weight", "2"),
        ({"weight": "1"}, "control.0.weight", "number"),
        ({"start": 0.6, "end": 0.4}, "control.0.end", "more than its start, 0.6"),
        ({"mode": 1}, "control.0.mode", ""),
    ],
)
def test_a_wrong_unit_is_refused_by_its_place_and_field(
    held: House, sha256: str, unit: dict[str, Any], field: str, words: str
) -> None:
    body = {"prompt": "a cat", "control": [{"model": "my-canny", "image": sha256} | unit]}
    refused = held.client.post("/api/jobs", json=body)
    assert refused.status_code == 422
    [error] = refused.get_json()["errors"]
    assert error["field"] == field
    assert words in error["allowed"], error


def test_what_a_model_sees_is_shown_between_jobs_and_goes_with_the_job(held: House, sha256: str) -> None:
    models = {model["key"]: model for model in held.client.get("/api/models").get_json()["items"]}
    assert [models["deep"][name] for name in ("kinds", "tasks", "control")] == [["sees"], [], "depth"]
    shown = held.client.get(f"/api/inputs/{sha256}/preprocessed.png?preprocessor=depth&width=64&height=64")
    assert (shown.status_code, shown.content_type) == (200, "image/png")
    with Image.open(io.BytesIO(shown.data)) as picture:
        fitted = hint(PICTURE, Preprocessor.NONE, 64, 64)
        assert picture.tobytes() == fitted.convert("L").convert("RGB").tobytes()  # so does the engine of the tests
    unit = {"model": "my-canny", "image": sha256, "preprocessor": "depth"}
    job = held.submit("a deep cat", control=[unit])
    request = GenerationRequest.model_validate(job["request"])
    resolved = held.service.parts.catalog.resolve_with_entry(request)
    assert [each.key for each in resolved.entry.controls] == ["my-canny", "deep"]
    assert held.finished(job["id"])["state"] == "succeeded"


def test_what_no_model_here_can_see_is_refused_with_the_way_to_bring_it(held: House, sha256: str) -> None:
    unit = {"model": "my-canny", "image": sha256, "preprocessor": "openpose"}
    body = {"prompt": "a cat", "control": [unit]}
    asked = {"controlnet_module": "openpose", "controlnet_input_images": [small_png()]}
    for answer in (
        held.client.get(f"/api/inputs/{sha256}/preprocessed.png?preprocessor=openpose"),
        held.client.post("/api/jobs", json=body),
        held.client.post("/controlnet/detect", json=asked),
    ):
        assert answer.status_code == 409, answer.text
        assert "stands is not on this machine" in answer.text


@pytest.mark.parametrize("preprocessor", [each for each in Preprocessor if not each.by_model])
def test_what_a_control_model_sees_is_shown_without_a_job(held: House, sha256: str, preprocessor: Preprocessor) -> None:
    query = {"preprocessor": preprocessor.value, "width": 64, "height": 64}
    shown = held.client.get(f"/api/inputs/{sha256}/preprocessed.png", query_string=query)
    assert (shown.status_code, shown.content_type) == (200, "image/png")
    with Image.open(io.BytesIO(shown.data)) as picture:
        assert picture.tobytes() == hint(PICTURE, preprocessor, 64, 64).tobytes()
    headers = {"If-None-Match": shown.headers["ETag"]}
    again = held.client.get(f"/api/inputs/{sha256}/preprocessed.png", query_string=query, headers=headers)
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("query", ["", "preprocessor=magic", "preprocessor=canny&width=8192&height=8192"])
def test_a_wrong_question_for_it_is_refused(held: House, sha256: str, query: str) -> None:
    assert held.client.get(f"/api/inputs/{sha256}/preprocessed.png?{query}").status_code == 422
