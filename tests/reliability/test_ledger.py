"""The page of promises names tests that exist, and is the one that the ledger makes."""

from pathlib import Path

import pytest

from tests.reliability.ledger import Row, WrongLedger, exists, missing_tests, read_rows, read_tables
from tests.reliability.page import PAGE, page


def test_every_test_that_the_ledger_names_exists() -> None:
    assert missing_tests(read_rows()) == []


def test_every_number_that_the_ledger_names_is_in_its_table() -> None:
    known = {table.key: set(table.titles) for table in read_tables() if table.titles}
    assert [row for row in read_rows() if row.table in known and row.id not in known[row.table]] == []


def test_the_two_tables_are_complete() -> None:
    numbers = {table.key: list(table.titles) for table in read_tables()}
    assert numbers["fault"] == [str(number) for number in range(1, 26)]
    assert numbers["incident"] == [str(number) for number in range(1, 22)]


def test_a_test_that_is_not_there_is_named() -> None:
    here = "tests/reliability/test_ledger.py"
    assert exists(f"{here}::test_the_two_tables_are_complete")
    assert exists(f"{here}::test_the_two_tables_are_complete[case]")
    assert not exists(f"{here}::test_of_nothing")
    assert not exists(f"{here}::exists")
    assert not exists("tests/no_such_file.py::test_x")
    row = Row("fault", "1", "It is so.", (f"{here}::test_of_nothing",), "")
    assert missing_tests([row]) == [f"fault 1: {here}::test_of_nothing"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('table = "fault"\nid = "1"\nsays = "It is so."', "either says with tests or open"),
        ('table = "fault"\nid = "1"\ntests = ["tests/x.py::test_x"]', "either says with tests or open"),
        ('table = "fault"\nid = 1\nsays = "It is so."\ntests = ["tests/x.py::test_x"]', "texts"),
        ('table = "fault"\nid = "1"\nsays = "It is so."\ntests = "tests/x.py::test_x"', "list of texts"),
        ('table = "fault"\nid = "1"\nsay = "It is so."\nopen = "All."', "unknown"),
    ],
)
def test_a_row_that_says_too_little_is_refused(text: str, wrong: str, tmp_path: Path) -> None:
    (tmp_path / "area.toml").write_text(f"[[row]]\n{text}\n")
    with pytest.raises(WrongLedger, match=wrong):
        read_rows(tmp_path)


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.reliability"
