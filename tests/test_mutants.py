"""The tool that changes the code and looks whether a test notices."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.mutants.changes import changes
from benchmarks.mutants.place import ROOT
from benchmarks.mutants.reach import Reach
from benchmarks.mutants.results import Result, load, page, read_explained, save
from benchmarks.mutants.targets import read_fixed, read_groups
from tests.reliability.ledger import exists

SOURCE = b'''"""A docstring with 1 < 2."""
LIMIT = 2
def room(used: int = 1) -> bool:
    """Not this: 1 == 1."""
    log.info("left alone", at=1)
    if used < LIMIT and not full:
        raise Full("no")
    return used == 1
'''


def test_every_change_says_something_else_and_nothing_else_is_touched() -> None:
    lines = set()
    for change in changes(SOURCE):
        both = zip(SOURCE.decode().splitlines(), change.applied(SOURCE).decode().splitlines(), strict=True)
        lines.add(next(after for before, after in both if before != after).strip())
    assert lines == {
        "if (used <= LIMIT) and not full:",
        "if (used < LIMIT or not full):",
        "if (not (used < LIMIT and (not full))):",
        "if used < LIMIT and (full):",
        "pass",
        "return None",
        "return (used != 1)",
        "return used == 2",
    }


CODE = """def used(x):
    return x + 1
def unused(x):
    return x
"""
TESTS = """import threading, pytest
from code_of_ours import used
@pytest.fixture(scope="module")
def two():
    return used(1)
def test_that_takes_what_another_made(two): assert two == 2
@pytest.mark.parametrize("x", [1, 2])
def test_in_a_thread(x):
    thread = threading.Thread(target=used, args=(x,))
    thread.start()
    thread.join()
def test_of_nothing(): pass
"""


def test_only_the_tests_that_run_a_line_are_chosen_for_it(tmp_path: Path) -> None:
    (tmp_path / "code_of_ours.py").write_text(CODE)
    (tmp_path / "test_a.py").write_text(TESTS)
    (tmp_path / "test_b.py").write_text(TESTS.replace("(two)", "()").replace("two == 2", "True"))
    script = (
        "import pytest, sys; from pathlib import Path; from benchmarks.mutants.reach import Recorder;"
        "seen = Recorder(Path.cwd(), ['code_of_ours.py']); pytest.main(['-q'], plugins=[seen]); seen.save(Path('seen'))"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        timeout=120,
    )
    reach = Reach.load(tmp_path / "seen")
    chosen, seconds = reach.choose(["test_a.py", "test_b.py", "-x"], "code_of_ours.py", 2)
    of_a = [f"test_a.py::{name}" for name in ("test_in_a_thread[1]", "test_in_a_thread[2]", "test_of_nothing",
                                              "test_that_takes_what_another_made")]  # fmt: skip
    assert sorted(chosen) == ["-x", *of_a, "test_b.py::test_in_a_thread[1]", "test_b.py::test_in_a_thread[2]"]
    assert seconds >= 0
    assert reach.choose(["test_a.py", "-x"], "code_of_ours.py", 4)[0] == ["test_a.py", "-x"]


def test_texts_with_other_letters_before_them_are_cut_at_the_right_bytes() -> None:
    [change] = changes("def 名(x):\n    return 'ü' if x else 3\n".encode())[1:]
    assert (
        change.applied("def 名(x):\n    return 'ü' if x else 3\n".encode())
        .decode()
        .endswith("'ü' if (not (x)) else 3\n")
    )


def test_no_module_of_these_rooms_is_left_out() -> None:
    tried = {file for group in read_groups() for file in group.files}
    for room in ("jobs", "database", "library", "engine", "hub", "dropfolder"):
        modules = {f"app/{room}/{file.name}" for file in (ROOT / "app" / room).glob("*.py")} - {
            f"app/{room}/__init__.py"
        }
        assert modules <= tried, room


def test_every_target_exists_and_every_fixed_change_fits_the_code() -> None:
    groups = {group.name: group for group in read_groups()}
    for group in groups.values():
        for part in group.parts:
            assert part.files, group.name
            for test in part.near + part.far:
                assert test.startswith("-") or exists(test) or (ROOT / test).exists(), test
    for fixed in read_fixed():
        assert fixed.group in groups, fixed.what
        assert (ROOT / fixed.file).read_text("utf-8").count(fixed.find) == 1, f"{fixed.what}: {fixed.find}"


def test_a_survivor_has_a_reason_or_a_test_that_exists() -> None:
    for row in read_explained():
        assert set(row) in ({"file", "before", "after", "why"}, {"file", "before", "after", "test"}), row
        assert "test" not in row or exists(row["test"]), row


def test_a_survivor_is_on_the_page_and_a_noticed_change_only_counted(tmp_path: Path) -> None:
    before, after = b"def f():\n    return 1\n", b"def f():\n    return 2\n"
    seen = Result.of("jobs", "app/a.py", 2, "one more", before, after, "failed", "tests/a.py::test_a", 1.0)
    missed = Result.of("jobs", "app/b.py", 2, "one more", before, after, "passed", "", 1.0)
    save([seen, missed], tmp_path / "mutants.json")
    written = page(load(tmp_path / "mutants.json"), {"jobs": 7, "hub": 3}, {"jobs": {"tried": 4, "noticed": 4}})
    assert "| jobs | 7 | 6 | 5 | 0 | 0 | 1 | 83% |" in written
    assert "| hub | 3 | 0 | 0 | 0 | 0 | 0 | – |" in written
    assert "| app/b.py | `return 1` → `return 2` | **a test is missing** |" in written
    assert "app/a.py" not in written
