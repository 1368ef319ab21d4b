"""The rooms import in one direction, and each process is free of the libraries it must not need."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.rooms import LIBRARIES, PAGE, ROOMS, page

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {name: set(room.imports) for name, room in ROOMS.items()}
DOORS = ("native", "openai", "automatic1111", "playground", "environment")
IMPORT_BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}")
sys.meta_path.insert(0, Block())
import {module}
"""


def room_of(file: Path) -> str:
    """The room of a file of `app/`: its folder, or its own name."""
    return file.relative_to(ROOT / "app").parts[0].removesuffix(".py")


@cache
def imports_of(file: Path) -> tuple[tuple[str, int, bool], ...]:
    """Module, line and whether it is at module level, for each import that runs."""
    tree = ast.parse(file.read_text("utf-8"))
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found: list[tuple[str, int, bool]] = []
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, node in tree.body) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            top = node in tree.body
            found.append((node.module, node.lineno, top))
            if node.module == "app":
                found += [(f"app.{alias.name}", node.lineno, top) for alias in node.names]
    return tuple(found)


@cache
def files() -> list[Path]:
    return sorted(file for file in (ROOT / "app").rglob("*.py") if file != ROOT / "app" / "__init__.py")


@cache
def rooms() -> frozenset[str]:
    return frozenset(room_of(file) for file in files()) - {"__main__"}


def test_every_room_has_its_rule() -> None:
    assert rooms() <= set(ALLOWED)


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_stands_below_it(room: str) -> None:
    wrong = []
    for file in files():
        if room_of(file) != room:
            continue
        for module, line, _ in imports_of(file):
            parts = module.split(".")
            if parts[0] == "app" and len(parts) > 1 and parts[1] in rooms():
                if parts[1] not in ALLOWED[room] | {"core", room}:
                    wrong.append(f"{file.relative_to(ROOT)}:{line} imports {module}")
            elif parts[0] in LIBRARIES and room not in LIBRARIES[parts[0]]:
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {module}")
    assert wrong == []


def test_of_an_engine_only_its_makers_reach_the_room_with_torch() -> None:
    makers = ROOT / "app" / "engine" / "makers"
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files()
        if room_of(file) == "engine" and makers not in file.parents
        for module, line, _ in imports_of(file)
        if module.startswith(("app.diffusion", "app.engine.makers"))
    ]
    assert wrong == []


def test_no_room_may_import_what_it_does_not() -> None:
    used: dict[str, set[str]] = {room: set() for room in ALLOWED}
    for file in files():
        for module, _, _ in imports_of(file):
            parts = module.split(".")
            if parts[0] == "app" and len(parts) > 1 and parts[1] in rooms():
                used.setdefault(room_of(file), set()).add(parts[1])
    assert {room: below - used[room] for room, below in ALLOWED.items() if below - used[room]} == {}


def test_the_architecture_shows_the_rule() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.rooms"


def test_every_library_of_a_room_is_imported_there() -> None:
    used = {(module.split(".")[0], room_of(file)) for file in files() for module, _, _ in imports_of(file)}
    assert [
        (library, room) for library, rooms in LIBRARIES.items() for room in rooms if (library, room) not in used
    ] == []


def test_no_door_of_the_service_knows_another_and_what_they_share_knows_none() -> None:
    wrong = []
    for file in (ROOT / "app" / "service").rglob("*.py"):
        inner = file.relative_to(ROOT / "app" / "service").parts[0].removesuffix(".py")
        if inner == "application":
            continue
        for module, line, _ in imports_of(file):
            parts = module.split(".")
            if parts[:2] == ["app", "service"] and len(parts) > 2 and parts[2] in DOORS and parts[2] != inner:
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {module}")
    assert wrong == []


def test_the_rule_has_no_cycles() -> None:
    done: list[str] = []
    while len(done) < len(ALLOWED):
        ready = [room for room, below in ALLOWED.items() if room not in done and below <= set(done)]
        assert ready, f"a cycle among {set(ALLOWED) - set(done)}"
        done += ready


def test_own_rooms_are_imported_at_the_top_of_a_file() -> None:
    # The exceptions keep a library out of a process that only might need it; each says so in a comment.
    lazy = [
        f"{file.relative_to(ROOT)}:{line} {module}"
        for file in files()
        for module, line, top in imports_of(file)
        if module.startswith("app") and not top
    ]
    assert [item for item in lazy if "app.migrations.steps" not in item and "app.diffusion" not in item] == []


@pytest.mark.parametrize(
    ("module", "blocked"),
    [
        ("image_generation_service", ("torch", "diffusers", "transformers", "gradio", "numpy", "huggingface_hub")),
        ("app.hub.child", ("torch", "diffusers", "flask", "gradio", "sqlalchemy")),
        ("app.engine.local", ("torch", "flask", "gradio", "sqlalchemy")),
        ("app.diffusion", ("flask", "gradio", "sqlalchemy", "gunicorn")),
        ("app.cli.main", ("torch", "flask", "sqlalchemy", "diffusers")),
        ("app.client", ("torch", "flask", "sqlalchemy", "gradio")),
        ("app.dropfolder", ("torch", "flask", "sqlalchemy", "gradio")),
        ("app.ui", ("torch", "flask", "sqlalchemy", "diffusers")),
        ("app.ui.server", ("torch", "flask", "sqlalchemy", "diffusers")),
        ("app.picture.png", ("torch", "flask", "gradio", "sqlalchemy")),
    ],
)
def test_a_process_starts_without_the_libraries_it_must_not_need(module: str, blocked: tuple[str, ...]) -> None:
    code = IMPORT_BLOCKED.format(blocked=set(blocked), module=module)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
