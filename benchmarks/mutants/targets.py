"""Which modules are changed, and which tests must notice: targets.toml and fixed.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mutants.place import ROOT

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Group:
    """Modules that are tested together. `near` are run first, `far` only if those notice nothing."""

    name: str
    files: tuple[str, ...]
    near: tuple[str, ...]
    far: tuple[str, ...]


@dataclass(frozen=True)
class Fixed:
    """One change made by hand: `find` in `file`, which is there once, becomes `put`; `tests` must notice."""

    group: str
    file: str
    what: str
    find: str
    put: str
    tests: tuple[str, ...]


def read_groups() -> list[Group]:
    """All groups, their modules sorted by name; `__init__.py` files hold nothing."""
    read = tomllib.loads((_HERE / "targets.toml").read_text("utf-8"))
    return [
        Group(name, _files(table["modules"]), tuple(table["near"]), tuple(table.get("far", ())))
        for name, table in read.items()
    ]


def _files(patterns: list[str]) -> tuple[str, ...]:
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.name != "__init__.py"}
    return tuple(sorted(str(path.relative_to(ROOT)) for path in found))


def read_fixed() -> list[Fixed]:
    """The changes made by hand."""
    read = tomllib.loads((_HERE / "fixed.toml").read_text("utf-8"))
    return [Fixed(**{**change, "tests": tuple(change["tests"])}) for change in read.get("change", [])]
