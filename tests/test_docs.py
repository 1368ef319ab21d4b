"""What the documentation says is so: commands, options, links, settings, examples."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from app.cli.main import build, main
from app.cli.models_doc import PAGE
from app.cli.models_doc import page as page_of_models
from app.cli.settings_doc import document
from tests.running import RunningService

PROJECT = Path(__file__).resolve().parents[1]
GUIDES = sorted((PROJECT / "docs" / "guides").glob("*.md"))
# What ends only when it is told to, needs a service that does not run, or the hub: the tests of those rooms run it.
RUN_ELSEWHERE = ("ui", "watch", "backup", "restore", "library rebuild", "models download")
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])
README = (PROJECT / "README.md").read_text(encoding="utf-8")
QUICK_START = (PROJECT / "quick_start.sh").read_text(encoding="utf-8")


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """Every call of `program` in a code block or in code quotes: page and arguments."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for code in re.findall(r"^```(?:bash|sh|console)?\n(.*?)^```|`([^`\n]+)`", text, re.DOTALL | re.MULTILINE):
            for line in "".join(code).splitlines():
                before, found, arguments = line.partition(program)
                if found and not before.strip("$ ").endswith("#"):
                    yield page.name, shlex.split(re.split(r"[|>;&]|  #", arguments)[0])


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_every_command_and_option_in_the_pages_exists() -> None:
    root: Any = typer.main.get_command(build())
    checked = 0
    for page, arguments in commands("python -m app "):
        command, left = root, list(arguments)
        while left and left[0] in getattr(command, "commands", {}):
            command = command.commands[left.pop(0)]
        assert command is not root or left == ["--version"], f"{page}: python -m app {' '.join(arguments)}"
        if not command.context_settings.get("ignore_unknown_options"):
            known = {name for parameter in command.params for name in parameter.opts} | {"--help", "--version"}
            unknown = {word.partition("=")[0] for word in left if word.startswith("-")} - known
            assert not unknown, f"{page}: {command.name} has no {unknown}"
        checked += 1
    assert checked > 8


def test_every_file_that_contributing_names_exists() -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`([\w./-]+/[\w./-]*)`", text) if "LANGUAGE" not in name}
    assert len(named) > 30
    assert sorted(name for name in named if not (PROJECT / name).exists()) == []


def test_every_quick_start_command_in_the_pages_exists() -> None:
    known = set(re.findall(r"^    ([a-z]+)\) ", QUICK_START, re.MULTILINE))
    assert {"generate", "test", "stop", "doctor"} <= known
    for page, arguments in commands("./quick_start.sh"):
        assert not arguments or arguments[0] in known | {"--help"}, f"{page}: ./quick_start.sh {arguments}"


def test_every_link_and_picture_in_the_pages_is_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_the_settings_page_is_current() -> None:
    written = (PROJECT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == document(), "run: python -m app settings-doc > docs/settings.md"


def test_the_table_of_models_is_current() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page_of_models(written), "run: python -m app models-doc"
    for key in ("pocket", "qwen-image", "qwen-image-lightning"):
        assert f"`{key}`" in written


def test_every_variable_in_the_pages_is_a_setting() -> None:
    known = set(re.findall(r"ATELIER_[A-Z_]+", document() + QUICK_START))
    for page in PAGES:
        for name in re.findall(r"\bATELIER_[A-Z_]+\b", page.read_text(encoding="utf-8")):
            assert name in known, f"{page.name}: {name}"


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) < 130


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A real service that draws quickly."""
    with RunningService(tmp_path_factory.mktemp("service")) as running:
        yield running


def test_the_readmes_client_example_runs(service: RunningService, tmp_path: Path) -> None:
    (example,) = [block for block in python_blocks(README) if "ImageServiceClient" in block]
    printed = run_python(example.replace("http://127.0.0.1:5001", service.url) + "\nprint(png[:4])", tmp_path)
    assert "PNG" in printed


def test_the_commands_of_readme_and_guides_run(
    service: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATELIER_SERVICE_URL", service.url)
    monkeypatch.setenv("ATELIER_OUTPUT_FOLDER", str(service.folder / "output"))
    run: list[str] = []
    for page, arguments in commands("python -m app "):
        command = shlex.join(arguments)
        elsewhere = command.startswith(RUN_ELSEWHERE) or {"--model", "--from", "--url"} & set(arguments)
        if page not in ("README.md", *(each.name for each in GUIDES)) or elsewhere or command in run:
            continue
        assert main(arguments) == 0, f"{page}: {command}"
        run.append(command)
    assert len(run) >= 10, run
    assert {each.name for each in tmp_path.glob("*.png")} >= {"tree.png", "forests.png"}


@pytest.mark.model
@pytest.mark.skipif(not (PROJECT / "models/pocket/model_index.json").is_file(), reason="models/pocket is not there")
def test_the_readmes_library_example_runs(tmp_path: Path) -> None:
    (example,) = [block for block in python_blocks(README) if "DiffusionService" in block]
    assert "True" in run_python(example + "\nprint(result['success'])", tmp_path)


def run_python(code: str, folder: Path) -> str:
    """What a program prints that is run in `folder`; it must succeed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
    env |= {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
