"""docs/reliability.md, made from the ledger."""

from tests.reliability.ledger import ROOT, Row, Table, read_rows, read_tables

PAGE = ROOT / "docs" / "reliability.md"
HEAD = """# Reliability

What can go wrong, what is true then, and the test that fails if it is not. This page is made by
`python -m tests.reliability` from `tests/reliability/*.toml`; a test of the suite fails when a named test does not
exist or this page is not current. What no test shows yet says so.
"""


def page() -> str:
    """The whole page as Markdown."""
    rows, tables = read_rows(), read_tables()
    known = {table.key for table in tables}
    others = sorted({row.table for row in rows} - known)
    tables += [Table(key, key.capitalize(), "", {}) for key in others]
    parts = [_part(table, [row for row in rows if row.table == table.key]) for table in tables]
    return HEAD + "".join(parts)


def _part(table: Table, rows: list[Row]) -> str:
    if not rows and not table.titles:
        return ""
    intro = f"\n{table.intro}\n" if table.intro else ""
    body = _numbered(table, rows) if table.titles else _plain(rows)
    return f"\n## {table.title}\n{intro}\n{body}"


def _numbered(table: Table, rows: list[Row]) -> str:
    lines = []
    whole = 0
    for number, title in table.titles.items():
        own = [row for row in rows if row.id == number]
        whole += bool(own) and not any(row.open for row in own)
        lines.append(f"| {number} | {title} | {_says(own)} | {_tests(own)} |\n")
    head = f"{whole} of {len(table.titles)} are shown whole.\n\n"
    head += "| # | what happens | what is true | shown by |\n|---|---|---|---|\n"
    return head + "".join(lines)


def _plain(rows: list[Row]) -> str:
    ordered = sorted(rows, key=lambda row: _order(row.id))
    return "| what is true | shown by |\n|---|---|\n" + "".join(
        f"| {_says([row])} | {_tests([row])} |\n" for row in ordered
    )


def _says(rows: list[Row]) -> str:
    if not rows:
        return "**open**"
    said = [row.says for row in rows if row.says]
    said += [f"**open**: {row.open}" for row in rows if row.open]
    return "<br>".join(_cell(text) for text in said)


def _tests(rows: list[Row]) -> str:
    tests = dict.fromkeys(test for row in rows for test in row.tests)
    return "<br>".join(_link(test) for test in tests) or "–"


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    words = name.partition("[")[0].rpartition("::")[2].removeprefix("test_").replace("_", " ")
    return f"[{words}](../{path})"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _order(number: str) -> tuple[str, list[int], str]:
    """S2 before S10, 4.9 before 4.10."""
    letters = number.rstrip("0123456789.")
    digits = [int(part) for part in number[len(letters) :].split(".") if part]
    return letters, digits, number
