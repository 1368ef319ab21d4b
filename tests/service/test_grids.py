"""X/Y/Z grids over HTTP and on the command line: made, cancelled, made again, and the sheet that says all of it."""

import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from werkzeug.serving import make_server

from app.cli.main import main
from app.picture.sheet import MAX_PIXELS
from tests.service.conftest import House

APPLE = {
    "request": {"prompt": "a red apple", "seed": 7},
    "x": {"name": "seed", "values": "7-9"},
    "y": {"name": "prompt_sr", "values": "red, green"},
}


def submitted(house: House, body: dict[str, Any], status: int = 202) -> Any:
    answer = house.client.post("/api/grids", json=body)
    assert answer.status_code == status, answer.text
    return answer.get_json()


def finished(house: House, grid: Any) -> Any:
    for cell in grid["cells"]:
        house.finished(cell["job_id"])
    return house.client.get(f"/api/grids/{grid['id']}").get_json()


def inspected(house: House, data: bytes) -> Any:
    return house.client.post("/api/inspect", data=data, content_type="image/png").get_json()


def pixels(house: House, cell: Any) -> bytes:
    with Image.open(BytesIO(house.client.get(cell["image"]["url"]).data)) as picture:
        return picture.tobytes()


@pytest.fixture(scope="module")
def apples(house: House) -> Any:
    """A finished grid of three columns and two rows."""
    return finished(house, submitted(house, APPLE))


def test_each_cell_is_the_picture_that_it_would_be_alone(house: House, apples: Any) -> None:
    assert (apples["state"], apples["done"], apples["of"]) == ("succeeded", 6, 6)
    job = house.client.get(f"/api/jobs/{apples['cells'][4]['job_id']}").get_json()
    assert (job["request"]["prompt"], job["request"]["seed"]) == ("a green apple", 8)
    alone = house.image("a green apple", seed=8)
    assert pixels(house, {"image": alone}) == pixels(house, apples["cells"][4])


def test_the_sheet_shows_every_picture_where_it_belongs_and_says_the_grid(house: House, apples: Any) -> None:
    answer = house.client.get(apples["url"])
    assert answer.content_type == "image/png"
    with Image.open(BytesIO(answer.data)) as sheet:
        assert sheet.width * sheet.height <= MAX_PIXELS
        shown = sheet.convert("RGB")
    places = []
    for cell in apples["cells"]:
        tile = Image.frombytes("RGB", (64, 64), pixels(house, cell))
        found = [
            (left, top)
            for left in range(shown.width - 63)
            for top in range(shown.height - 63)
            if shown.getpixel((left, top)) == tile.getpixel((0, 0))
            and shown.crop((left, top, left + 64, top + 64)).tobytes() == tile.tobytes()
        ]
        assert len(found) == 1, cell
        places += found
    lefts, tops = ([place[side] for place in places] for side in (0, 1))
    assert lefts[:3] == lefts[3:] == sorted(set(lefts))
    assert tops == [tops[0]] * 3 + [tops[3]] * 3
    assert tops[3] > tops[0]
    said = inspected(house, answer.data)
    assert said["grid"] == {name: apples[name] for name in ("request", "x", "y", "z")}
    assert said["grid"]["x"]["values"] == [7, 8, 9]
    assert said["recipe"]["cells"][0]["image_id"] == apples["cells"][0]["image"]["id"]
    assert 'X Type: Seed, X Values: "7, 8, 9", Y Type: Prompt S/R, Y Values: "red, green"' in said["parameters"]
    assert said["labels"]["ai_generated"] is True
    assert house.client.get(apples["url"], headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_a_sheet_alone_makes_the_grid_again_and_what_is_there_is_not_made_twice(
    make_house: Callable[..., House], house: House, apples: Any
) -> None:
    grid = inspected(house, house.client.get(apples["url"]).data)["grid"]
    again = submitted(house, grid)
    assert again["state"] == "succeeded"
    assert [cell["image"]["id"] for cell in again["cells"]] == [cell["image"]["id"] for cell in apples["cells"]]
    assert all(cell["reused"] for cell in again["cells"])
    elsewhere = make_house()  # where nothing of it is known
    made = finished(elsewhere, submitted(elsewhere, grid))
    assert not any(cell["reused"] for cell in made["cells"])
    assert [pixels(elsewhere, cell) for cell in made["cells"]] == [pixels(house, cell) for cell in apples["cells"]]


def test_cancelling_a_grid_cancels_its_jobs_and_the_sheet_shows_what_there_is(make_house: Callable[..., House]) -> None:
    house = make_house(start_paused=True)
    grid = submitted(house, APPLE)
    assert grid["state"] == "queued"
    for _ in range(2):
        cancelled = house.client.post(f"/api/grids/{grid['id']}/cancel").get_json()
        assert (cancelled["state"], cancelled["done"]) == ("cancelled", 0)
    assert {house.finished(cell["job_id"])["state"] for cell in grid["cells"]} == {"cancelled"}
    empty = house.client.get(grid["url"])
    assert empty.status_code == 200
    assert inspected(house, empty.data)["recipe"]["cells"] == [None] * 6
    listed = house.client.get("/api/grids").get_json()
    assert [(item["id"], item["cells"], item["of"]) for item in listed["items"]] == [(grid["id"], [], 6)]


def test_each_cell_draws_the_choices_of_a_prompt_by_its_own_seed_and_the_grid_keeps_them_as_written(
    house: House,
) -> None:
    body = {"request": {"prompt": "a {red|green|blue} cup"}, "x": {"name": "seed", "values": "1-6"}}
    grid = finished(house, submitted(house, body))
    assert grid["request"]["prompt"] == "a {red|green|blue} cup"
    prompts = [
        house.client.get(f"/api/jobs/{cell['job_id']}").get_json()["request"]["prompt"] for cell in grid["cells"]
    ]
    assert {"a red cup", "a blue cup"} <= set(prompts) <= {"a red cup", "a green cup", "a blue cup"}
    again = submitted(house, {name: grid[name] for name in ("request", "x")})
    assert all(cell["reused"] for cell in again["cells"])


def test_a_random_seed_is_drawn_once_and_stays(house: House) -> None:
    grid = submitted(house, {"request": {"prompt": "a cup"}, "x": {"name": "seed", "values": [-1, 5]}})
    assert grid["request"]["seed"] >= 0
    assert grid["x"]["values"] == [grid["request"]["seed"], 5]
    finished(house, grid)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"x": {"name": "colour", "values": "1"}}, "x.name"),
        ({"x": {"name": "steps", "values": [0]}}, "x.values"),
        ({"x": {"name": "steps", "values": "99-101"}}, "num_inference_steps"),
        ({"x": {"name": "model", "values": "pocket, nothing"}}, "model"),
        ({"x": {"name": "seed", "values": "1-101"}}, "x.values"),
        ({"request": {"prompt": "a red apple", "num_images": 2}}, "request.num_images"),
        ({"request": {"prompt": "a red apple", "width": "64"}}, "request.width"),
    ],
)
def test_a_wrong_grid_is_refused_whole_with_the_field_named(house: House, change: Any, field: str) -> None:
    before = house.client.get("/api/jobs").get_json()["items"][0]["id"]
    refused = submitted(house, APPLE | change, 422)
    assert refused["errors"][0]["field"] == field
    assert house.client.get("/api/jobs").get_json()["items"][0]["id"] == before


def test_the_refusal_of_a_model_says_which_picture_it_was(house: House) -> None:
    refused = submitted(house, APPLE | {"x": {"name": "steps", "values": "99-101"}}, 422)
    assert refused["hint"] == "In the picture with num_inference_steps = 101, prompt_sr = red."


def test_an_unknown_grid_is_unknown(house: House) -> None:
    for address in ("/api/grids/nothing", "/grids/nothing.png", "/api/grids/%2e%2e"):
        assert house.client.get(address).status_code == 404
    assert house.client.post("/api/grids/nothing/cancel").get_json()["code"] == "unknown_grid"


def test_a_grid_keeps_its_words_until_the_last_of_its_pictures_is_deleted(make_house: Callable[..., House]) -> None:
    house = make_house()
    grid = finished(house, submitted(house, APPLE | {"x": {"name": "steps", "values": "1"}}))
    first, second = (cell["image"]["id"] for cell in grid["cells"])
    house.client.delete(f"/api/images/{first}")
    left = house.client.get(f"/api/grids/{grid['id']}").get_json()
    assert [cell["image"] is None for cell in left["cells"]] == [True, False]
    house.client.delete(f"/api/images/{second}")
    assert house.client.get(f"/api/grids/{grid['id']}").status_code == 404


@pytest.fixture
def address(house: House) -> Iterator[str]:
    """The house, as a program on this machine reaches it."""
    server = make_server("127.0.0.1", 0, house.service.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)


def test_the_command_makes_a_sheet_and_makes_it_again_from_the_file(
    house: House, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet, again = tmp_path / "sheet.png", tmp_path / "again.png"
    line = ["grid", "a red apple", "--x", "steps=1,2", "--y", "seed=1-2", "--out", str(sheet), "--url", address]
    assert main(line) == 0
    assert str(sheet) in capsys.readouterr().out
    assert main(["grid", "--sheet", str(sheet), "--out", str(again), "--url", address]) == 0
    newest = house.client.get("/api/grids").get_json()["items"][0]
    made = house.client.get(f"/api/grids/{newest['id']}").get_json()
    assert [cell["reused"] for cell in made["cells"]] == [True] * 4
    with Image.open(sheet) as first, Image.open(again) as second:
        assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["a cup"], "--x are needed"), (["a cup", "--x", "steps"], "is no axis"), (["--sheet", __file__], "UNREADABLE")],
)
def test_the_command_says_what_it_lacks(
    address: str, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grid", *arguments, "--url", address]) != 0
    assert said.replace("UNREADABLE", "not a PNG") in capsys.readouterr().err
