"""The container files name what there is: settings, commands, files. No container engine is needed to see that."""

import fnmatch
import re
import shlex
from typing import Any

import pytest
import typer
import yaml

from app.cli.main import build
from app.core.settings import Settings
from tests.running import ROOT

CONTAINERFILE = (ROOT / "deploy" / "Containerfile").read_text("utf-8").replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))
OURS = ("service", "page", "watcher")


def lines(word: str) -> list[list[str]]:
    """The arguments of every line of the Containerfile that begins so."""
    return [shlex.split(line)[1:] for line in CONTAINERFILE.splitlines() if line.startswith(f"{word} ")]


def allowed_into_the_image() -> list[str]:
    text = (ROOT / ".dockerignore").read_text("utf-8")
    return [line[1:] for line in text.splitlines() if line.startswith("!")]


def test_what_is_copied_into_the_image_is_there_and_not_left_out() -> None:
    copied = [name for words in lines("COPY") if not words[0].startswith("--from") for name in words[:-1]]
    names = [name for name in copied if not name.startswith("--")]
    assert {"app", "models", "image_generation_service.py", "requirements.txt"} <= set(names)
    kept = allowed_into_the_image()
    for name in names:
        assert (ROOT / name).exists(), name
        assert any(fnmatch.fnmatch(name, pattern) or pattern.startswith(f"{name}/") for pattern in kept), name
    for pattern in kept:
        assert list(ROOT.glob(pattern)), pattern


def test_the_database_driver_of_the_image_is_the_tested_one() -> None:
    pin = re.compile(r"^psycopg\[binary\]==.*$", re.MULTILINE)
    pinned = pin.findall((ROOT / "requirements-postgres.txt").read_text("utf-8"))
    assert pinned == pin.findall((ROOT / "requirements-dev.txt").read_text("utf-8"))
    assert len(pinned) == 1


def test_every_setting_in_the_container_files_exists() -> None:
    known = {f"ATELIER_{name.upper()}" for name in Settings.model_fields}
    given = {name for each in OURS for name in COMPOSE["services"][each]["environment"]}
    given |= set(re.findall(r"\b(ATELIER_\w+)=", CONTAINERFILE))
    folders = {f"ATELIER_{name}_FOLDER" for name in ("MODELS", "DATA", "LOGS", "OUTPUT")}
    assert folders | {"ATELIER_DATABASE_URL"} <= given  # an image is no checkout: without them all lies below HOME
    assert given <= known


@pytest.mark.parametrize("name", OURS)
def test_what_a_container_runs_exists(name: str) -> None:
    [image_runs] = [re.findall(r'"([^"]+)"', line) for line in CONTAINERFILE.splitlines() if line.startswith("CMD ")]
    command = COMPOSE["services"][name].get("command", image_runs)
    assert command[0] == "python"
    if command[1] == "-m":
        root: Any = typer.main.get_command(build())
        assert (command[2], command[3] in root.commands) == ("app", True)
    else:
        assert (ROOT / command[1]).is_file()


def test_no_container_runs_as_root_or_writes_outside_its_volumes() -> None:
    assert lines("USER") == [["10001:10001"]]
    for name in OURS:
        service = COMPOSE["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
