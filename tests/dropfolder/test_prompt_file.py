"""Names and texts of prompt files."""

import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dropfolder.prompt_file import MAX_FILE_BYTES, RefusedPrompt, parse_claim, parse_name, read_prompt

USER = "0b5c2c4e-6f8e-4e0e-9a53-0a7c9a8a3a11"


def written(folder: Path, data: bytes) -> Path:
    file = folder / "prompt.txt"
    file.write_bytes(data)
    return file


def test_a_name_gives_its_size_and_the_names_of_its_answers() -> None:
    name = parse_name(f"{USER}-msg-17-640x480.txt")
    assert name is not None
    assert (name.width, name.height) == (640, 480)
    assert name.picture == f"{USER}-msg-17-640x480.png"
    assert name.error == f"{USER}-msg-17-640x480-error.txt"
    assert parse_claim(name.claim("host-1")) == (name, "host-1")


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        f"{USER}-1-640x480-error.txt",
        f"{USER}-1-640x480.png",
        f"{USER}-1-640x480.txt.claimed-by-host",
        f"{USER}-1-640X480.txt",
        f"{USER}--640x480.txt",
        f"{USER}-1-640x.txt",
        f"../{USER}-1-640x480.txt",
        f"{USER}-../../x-640x480.txt",
        f"{USER}-a\nb-640x480.txt",
        "not-a-uuid-1-640x480.txt",
        f".{USER}-1-640x480.txt",
    ],
)
def test_any_other_name_is_left_alone(name: str) -> None:
    assert parse_name(name) is None


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    assert read_prompt(written(tmp_path, b"\xef\xbb\xbfa red apple\r\n")).text == "a red apple"
    assert read_prompt(written(tmp_path, "一只猫".encode("utf-16"))).text == "一只猫"


def test_control_characters_become_spaces_and_line_ends_stay(tmp_path: Path) -> None:
    assert read_prompt(written(tmp_path, b"a\x00red\x1b[31m\r\napple\x07")).text == "a red [31m\napple"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"a \xff\xfe cat", "not valid UTF-8"),
        (b"x" * 20_001, "20001 characters"),
        (b"x" * (MAX_FILE_BYTES + 1), "bytes"),
    ],
)
def test_a_text_that_cannot_be_a_prompt_is_refused_with_the_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(RefusedPrompt, match=reason):
        read_prompt(written(tmp_path, data))


def test_what_is_no_regular_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(secret)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("pipe", "link", "socket"):
            with pytest.raises(RefusedPrompt, match="regular file"):
                read_prompt(tmp_path / name)
    (tmp_path / "second name").hardlink_to(secret)
    with pytest.raises(RefusedPrompt, match="second name"):
        read_prompt(tmp_path / "second name")
    with pytest.raises(FileNotFoundError):
        read_prompt(tmp_path / "nothing")


def test_a_file_that_the_watcher_may_not_read_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "prompt"
    file.write_text("a cat")
    file.chmod(0)
    before = os.geteuid()
    os.seteuid(before or 65_534)  # nothing is closed to root
    try:
        with pytest.raises(RefusedPrompt, match="may not be read"):
            read_prompt(file)
    finally:
        os.seteuid(before)


def test_a_file_that_becomes_a_link_in_between_never_gives_what_the_link_points_to(tmp_path: Path) -> None:
    secret, prompt = tmp_path / "secret", tmp_path / "prompt"
    secret.write_text("a secret")
    ready, link = tmp_path / "ready", tmp_path / "link"
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            ready.write_text("a cat")
            ready.rename(prompt)
            link.symlink_to(secret)
            link.rename(prompt)

    thread = threading.Thread(target=exchange)
    thread.start()
    said = set[str]()
    try:
        while len(said) < 2:  # it was read as a file and refused as a link at least once
            for _ in range(300):
                try:
                    said.add(read_prompt(prompt).text)
                except (RefusedPrompt, FileNotFoundError) as error:
                    said.add(type(error).__name__)
    finally:
        stop.set()
        thread.join()
    assert said <= {"a cat", "RefusedPrompt", "FileNotFoundError"}


@given(st.text())
def test_every_name_is_either_taken_apart_or_left_alone(text: str) -> None:
    name = parse_name(text)
    assert name is None or name.prompt == text
