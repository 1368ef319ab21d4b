"""The pictures beside a prompt file: which are meant, what is asked for with them, what is refused."""

import os
from pathlib import Path

import pytest

from app.dropfolder.beside import MAX_PICTURE_BYTES, Beside, Held, files_beside, read_beside
from app.dropfolder.prompt_file import PromptName, RefusedPrompt, parse_name

STEM = "0b5c2c4e-6f8e-4e0e-9a53-0a7c9a8a3a11-17-640x480"


@pytest.fixture
def name() -> PromptName:
    found = parse_name(f"{STEM}.txt")
    assert found is not None
    return found


def put(folder: Path, *places: str) -> None:
    for place in places:
        (folder / f"{STEM}{place}").write_bytes(place.encode())


def test_each_picture_is_asked_for_in_its_place(tmp_path: Path, name: PromptName) -> None:
    assert read_beside(tmp_path, name) == Beside()
    put(tmp_path, "-start.jpg", "-mask.png", "-control-owner--canny@canny.webp", "-control-depth.png")
    beside = read_beside(tmp_path, name)
    depth = Held("depth", "none", b"-control-depth.png")
    canny = Held("owner/canny", "canny", b"-control-owner--canny@canny.webp")
    assert beside == Beside(b"-start.jpg", b"-mask.png", (depth, canny))
    sent: list[bytes] = []
    fields = beside.fields(lambda picture: sent.append(picture) or f"sha{len(sent)}")
    assert fields == {
        "task": "inpaint",
        "inputs": [{"role": "image", "sha256": "sha1"}, {"role": "mask", "sha256": "sha2"}],
        "control": [
            {"model": "depth", "preprocessor": "none", "image": "sha3"},
            {"model": "owner/canny", "preprocessor": "canny", "image": "sha4"},
        ],
    }
    assert Beside(b"1").fields(lambda _: "sha") == {"task": "image", "inputs": [{"role": "image", "sha256": "sha"}]}
    assert Beside(control=(depth,)).fields(lambda _: "sha").keys() == {"control"}


def test_other_files_and_the_answers_to_other_prompts_are_left_alone(tmp_path: Path, name: PromptName) -> None:
    put(tmp_path, ".png", ".txt", "-error.txt", "-start.gif", "-starts.png", "-control-.png", "0-start.png")
    put(tmp_path, "-control-a-64x64.png")  # the picture of a prompt whose message is called 17-640x480-control-a
    assert files_beside(tmp_path, name) == []
    put(tmp_path, "-start.png", "-control-a.png")
    assert [file.name for file in files_beside(tmp_path, name)] == [f"{STEM}-control-a.png", f"{STEM}-start.png"]


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (("-start.png", "-start.jpg"), "2 pictures to start from"),
        (("-start.png", "-mask.png", "-mask.webp"), "2 masks"),
        (("-mask.png",), "no picture to start from"),
        (("-control-canny@edges.png",), "'edges'; allowed are none, canny, scribble, softedge"),
        (tuple(f"-control-m{i}.png" for i in range(9)), "9 control pictures beside the prompt; 8 are allowed"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, name: PromptName, places: tuple[str, ...], said: str) -> None:
    put(tmp_path, *places)
    with pytest.raises(RefusedPrompt, match=said):
        read_beside(tmp_path, name)


@pytest.mark.parametrize("place", ["-start.png", "-mask.png", "-control-canny.png"])
def test_no_link_is_followed_and_no_large_file_read(tmp_path: Path, name: PromptName, place: str) -> None:
    (tmp_path / f"{STEM}{place}").symlink_to("/etc/passwd")
    with pytest.raises(RefusedPrompt, match="regular file"):
        read_beside(tmp_path, name)
    (tmp_path / f"{STEM}{place}").unlink()
    put(tmp_path, place)
    os.truncate(tmp_path / f"{STEM}{place}", MAX_PICTURE_BYTES + 1)
    with pytest.raises(RefusedPrompt, match="bytes"):
        read_beside(tmp_path, name)
