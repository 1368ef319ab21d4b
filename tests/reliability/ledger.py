"""The ledger of what is promised and which test holds it: `tables.toml` and one file of rows for each area.

A row says one plain sentence that is true now and names the tests that fail if it is not:

    [[row]]
    table = "fault"        # "fault" and "incident" are numbered by tables.toml; any other word is a group of its own
    id = "12"
    says = "The disk is full: pictures and jobs wait, nothing fails."
    tests = ["tests/library/test_disk_full.py::test_a_full_disk_leaves_whole_files_only_and_works_again_with_room"]
    open = "What of it is not shown yet."    # may be left out; without `tests` it is all there is
"""

import ast
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
_TABLES = FOLDER / "tables.toml"


class WrongLedger(Exception):
    """A file of the ledger says what cannot be; the message names the file and the row."""


@dataclass(frozen=True)
class Row:
    """One sentence that is true, and the tests that hold it. `open` is what is not shown yet."""

    table: str
    id: str
    says: str
    tests: tuple[str, ...]
    open: str


@dataclass(frozen=True)
class Table:
    """A group of rows. `titles` are the numbered things that all need a row; empty where rows stand alone."""

    key: str
    title: str
    intro: str
    titles: dict[str, str]


def read_tables() -> list[Table]:
    """The groups in the order of the page."""
    read = tomllib.loads(_TABLES.read_text("utf-8"))
    return [
        Table(key, table["title"], table["intro"], {row["id"]: row["title"] for row in table.get("row", [])})
        for key, table in read.items()
    ]


def read_rows(folder: Path = FOLDER) -> list[Row]:
    """All rows of all areas. Raises WrongLedger for a row that is not as the head of this file says."""
    rows = []
    for file in sorted(folder.glob("*.toml")):
        if file != _TABLES:
            rows += [_row(file.name, row) for row in tomllib.loads(file.read_text("utf-8")).get("row", [])]
    return rows


def _row(file: str, row: dict[str, object]) -> Row:
    where = f"{file}, {row.get('table')} {row.get('id')}"
    if wrong := set(row) - {"table", "id", "says", "tests", "open"}:
        raise WrongLedger(f"{where}: unknown {sorted(wrong)}")
    texts = {name: row.get(name, "") for name in ("table", "id", "says", "open")}
    tests = row.get("tests", [])
    if not all(isinstance(text, str) for text in texts.values()):
        raise WrongLedger(f"{where}: table, id, says and open are texts")
    if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
        raise WrongLedger(f"{where}: tests is a list of texts")
    if not texts["table"] or not texts["id"] or not (tests or texts["open"]) or (tests and not texts["says"]):
        raise WrongLedger(f"{where}: a row has table, id, and either says with tests or open")
    table, number, says, still = (str(text) for text in texts.values())
    return Row(table, number, says, tuple(dict.fromkeys(tests)), still)


def missing_tests(rows: list[Row]) -> list[str]:
    """What the rows name and the test files do not have. The files are parsed, not run."""
    return [f"{row.table} {row.id}: {test}" for row in rows for test in row.tests if not exists(test)]


def exists(test: str) -> bool:
    """True if the function of `path::function` (with `[case]` or without) is in that file of tests."""
    path, _, name = test.partition("[")[0].partition("::")
    file = ROOT / path
    return path.startswith("tests/") and file.is_file() and name in _tests_in(file)


@cache
def _tests_in(file: Path) -> frozenset[str]:
    functions = [node for node in ast.parse(file.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)]
    return frozenset(node.name for node in functions if node.name.startswith("test_"))
