"""Styles: those that come along and the owner's, added when a job is submitted, kept as written and as expanded."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.schema import MAX_PROMPT_CHARS
from app.core.styles import with_styles
from tests.service.conftest import House

CSV = """\ufeffname,prompt,negative_prompt
# of my own,x,y
------ lines that part ------,,
noir,"{prompt}, film noir, rain","colour, sun"
glow,glowing,
"""
FOOOCUS = [
    {"name": "sai-ink", "prompt": "ink of {prompt} . {black|blue}", "negative_prompt": "photo"},
    {"name": "glow", "prompt": "glow of {prompt}"},
]


@pytest.fixture(scope="module")
def studio(make_house: Callable[..., House]) -> House:
    """A house whose owner has styles of A1111 and of Fooocus, and files that are none."""
    house = make_house()
    models: Path = house.service.parts.catalog.folder
    (models / "styles").mkdir()
    (models / "styles.csv").write_text(CSV, "utf-8")
    (models / "styles" / "fooocus.json").write_text(json.dumps(FOOOCUS))
    (models / "styles" / "a list.json").write_text('{"name": "x"}')
    (models / "styles" / "deep.json").write_text("[" * 100_000)
    (models / "styles" / "hostile.json").write_text('[{"name": "\\u0000", "prompt": "x"}]')
    (models / "styles" / "old.csv").write_text("name,text\nold,as it was\n")
    (models / "styles" / "other.csv").write_bytes(b"name,prompt\n\xff,x\n")
    (models / "styles" / "table.csv").write_text("a,b\n1,2\n")
    return house


def test_the_list_has_those_that_come_along_and_the_owners_and_says_which_files_are_none(studio: House) -> None:
    told = studio.client.get("/api/styles").get_json()
    known = {style["name"]: style for style in told["items"]}
    assert known["noir"] == {"name": "noir", "prompt": "{prompt}, film noir, rain", "negative_prompt": "colour, sun"}
    assert known["glow"]["prompt"] == "glow of {prompt}"  # the later file's
    assert known["old"]["prompt"] == "as it was"
    assert "{prompt}" in known["watercolour"]["prompt"]
    assert not any("part" in name or name.startswith("#") for name in known)
    wrong = {file["name"]: file["reason"] for file in told["skipped"]}
    assert set(wrong) == {"a list.json", "deep.json", "hostile.json", "other.csv", "table.csv"}
    assert wrong["hostile.json"] == "style 1: name: Value error, must not contain NUL characters"
    assert [style["name"] for style in studio.client.get("/sdapi/v1/prompt-styles").get_json()] == list(known)


def test_a_job_has_its_prompt_with_the_styles_and_as_written_and_so_has_its_file(studio: House) -> None:
    job = studio.finished(studio.submit("a cup", negative_prompt="blurry", styles=["noir", "sai-ink"], seed=3)["id"])
    request = job["request"]
    assert request["prompt"] in {f"ink of a cup, film noir, rain . {colour}" for colour in ("black", "blue")}
    assert request["negative_prompt"] == "blurry, colour, sun, photo"
    assert request["styles"] == []
    assert request["written"] == {"prompt": "a cup", "negative_prompt": "blurry", "styles": ["noir", "sai-ink"]}
    file = studio.client.get(job["images"][0]["url"]).data
    told = studio.client.post("/api/inspect", data=file, content_type="image/png").get_json()
    assert told["recipe"]["request"]["written"] == request["written"]
    assert 'Styles: "noir, sai-ink", Template: a cup' in told["parameters"]
    again = studio.finished(studio.client.post("/api/jobs", json=told["request"]).get_json()["id"])
    assert again["request"]["prompt"] == request["prompt"]
    assert studio.client.get(again["images"][0]["url"]).data != file  # another row, and yet:
    assert again["images"][0]["seed"] == job["images"][0]["seed"]
    more = studio.submit(**{**told["request"], "styles": ["old"]})["request"]
    assert more["prompt"] == f"{request['prompt']}, as it was"
    assert more["written"]["styles"] == ["noir", "sai-ink", "old"]


def test_a1111s_clients_name_them_and_read_them_back(studio: House) -> None:
    body = {"prompt": "a cup", "styles": ["glow"], "steps": 2, "width": 64, "height": 64}
    info = json.loads(studio.client.post("/sdapi/v1/txt2img", json=body).get_json()["info"])
    assert (info["prompt"], info["styles"]) == ("glow of a cup", ["glow"])


@pytest.mark.parametrize("address", ["/api/jobs", "/sdapi/v1/txt2img"])
def test_an_unknown_style_is_refused_with_those_there_are(studio: House, address: str) -> None:
    answer = studio.client.post(address, json={"prompt": "a cup", "styles": ["glow", "gloom"]})
    assert answer.status_code == 422
    assert "gloom" in answer.text
    assert "allowed is one of: photograph, " in answer.text


def test_styles_that_make_a_prompt_too_long_are_refused_before_they_do() -> None:
    assert with_styles("a cup ", ["{prompt}{prompt}", " red ", ""]) == "a cup a cup, red"
    doubling = "{prompt}" * 1000
    with pytest.raises(ValueError, match=f"more than {MAX_PROMPT_CHARS} characters"):
        with_styles("a cup", [doubling] * 5)
    assert with_styles("a" * 100, ["{prompt}" * 200]) == "a" * MAX_PROMPT_CHARS
    with pytest.raises(ValueError, match="characters"):
        with_styles("a" * 100, ["{prompt}" * 200 + "b"])
