"""Choices and wildcards in prompts: drawn when a job is submitted, kept as written and as drawn, made again alike."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.conftest import House


@pytest.fixture(scope="module")
def studio(make_house: Callable[..., House]) -> House:
    """A house whose owner has two wildcard files."""
    house = make_house()
    folder = house.service.parts.catalog.folder / "wildcards"
    (folder / "things").mkdir(parents=True)
    (folder / "colour.txt").write_text("\ufeff# warm and cold\nred\n\n blue \n", "utf-8")
    (folder / "things" / "杯子.txt").write_text("a {large|small} cup\n", "utf-8")
    return house


def made(house: House, prompt: str, **more: Any) -> Any:
    return house.finished(house.submit(prompt, **more)["id"])["request"]


def test_a_job_has_its_prompt_as_drawn_and_as_written_and_so_has_its_file(studio: House) -> None:
    prompt = "__things/杯子__, __colour__"
    job = studio.finished(studio.submit(prompt, negative_prompt="{grey|dark}", seed=3)["id"])
    request = job["request"]
    assert request["prompt"] in {f"a {size} cup, {colour}" for size in ("large", "small") for colour in ("red", "blue")}
    assert request["negative_prompt"] in ("grey", "dark")
    assert request["written"] == {"prompt": prompt, "negative_prompt": "{grey|dark}", "styles": []}
    file = studio.client.get(job["images"][0]["url"]).data
    told = studio.client.post("/api/inspect", data=file, content_type="image/png").get_json()
    assert told["recipe"]["request"]["written"] == request["written"]
    assert f"Template: {prompt!r}".replace("'", '"') in told["parameters"]
    again = studio.client.post("/api/jobs", json=told["request"]).get_json()
    assert again["request"]["prompt"] == request["prompt"]


def test_the_same_seed_draws_the_same_and_others_draw_others(studio: House) -> None:
    drawn = [made(studio, "{a|b|c|d|e} __colour__", seed=seed)["prompt"] for seed in (*range(8), 0)]
    assert drawn[0] == drawn[-1]
    assert len(set(drawn)) > 3


def test_a_stored_prompt_is_never_drawn_again(studio: House) -> None:
    request = made(studio, r"a {red|blue} cup \{x|y\}", seed=1)
    assert request["prompt"].endswith("{x|y}")
    assert made(studio, **request)["prompt"] == request["prompt"]


def test_where_the_owner_has_no_wildcards_their_signs_are_text(make_house: Callable[..., House]) -> None:
    request = made(make_house(), "so __very__ {{ ''.__class__ }} bold")
    assert request["prompt"] == "so __very__ {{ ''.__class__ }} bold"
    assert request["written"] == {"prompt": "", "negative_prompt": "", "styles": []}


def test_a_prompt_without_such_signs_is_kept_to_the_letter(studio: House) -> None:
    request = made(studio, "snake_case {word} a|b [c|d]")
    assert request["prompt"] == "snake_case {word} a|b [c|d]"
    assert request["written"] == {"prompt": "", "negative_prompt": "", "styles": []}


@pytest.mark.parametrize("address", ["/api/jobs", "/sdapi/v1/txt2img", "/v1/images/generations"])
def test_an_unknown_wildcard_is_refused_at_every_door_with_those_there_are(studio: House, address: str) -> None:
    answer = studio.client.post(address, json={"prompt": "__animal__"})
    assert answer.status_code in (400, 422)
    assert "there is no wildcard __animal__; allowed is one of: colour, things/" in answer.get_data(as_text=True)


@pytest.fixture
def odd_file(studio: House) -> Iterator[Path]:
    file = studio.service.parts.catalog.folder / "wildcards" / "odd.txt"
    yield file
    file.unlink()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "has no lines"), (b"\xff\xfe\x00", "no UTF-8 text"), (b"x" * (2**20 + 1), "more than 1048576 bytes")],
)
def test_a_wildcard_file_that_is_none_is_refused_by_name(
    studio: House, odd_file: Path, content: bytes, said: str
) -> None:
    odd_file.write_bytes(content)
    answer = studio.client.post("/api/jobs", json={"prompt": "__odd__"})
    assert answer.status_code == 422
    assert said in answer.get_json()["errors"][0]["allowed"]


def test_no_name_leads_out_of_the_folder(studio: House) -> None:
    (studio.service.parts.catalog.folder / "secret.txt").write_text("secret")
    for name in ("../secret", "/etc/passwd", "..", "things/../../secret"):
        job = studio.client.post("/api/jobs", json={"prompt": f"__{name}__"})
        assert "secret" not in job.get_json().get("request", {}).get("prompt", "").replace(name, "")
