"""Which modules are changed, and which tests must notice: targets.toml and fixed.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mutants.place import ROOT

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """Modules with the same tests: `near` are run first, `far` only if those notice nothing.

    `heavy` are packages that their tests import, loaded once for all runs.
    """

    files: tuple[str, ...]
    near: tuple[str, ...]
    far: tuple[str, ...]
    heavy: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Parts whose changes are counted together."""

    name: str
    parts: tuple[Part, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The modules of all parts."""
        return tuple(file for part in self.parts for file in part.files)


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
    """All groups in the order of the file. A module belongs to the first part of a group that names it."""
    read = tomllib.loads((_HERE / "targets.toml").read_text("utf-8"))
    groups = []
    for name, tables in read.items():
        parts: list[Part] = []
        for table in tables:
            taken = {file for part in parts for file in part.files}
            files = tuple(file for file in _files(table["modules"]) if file not in taken)
            parts.append(Part(files, tuple(table["near"]), tuple(table.get("far", ())), tuple(table.get("heavy", ()))))
        groups.append(Group(name, tuple(parts)))
    return groups


def _files(patterns: list[str]) -> list[str]:
    """Sorted by name; `__init__.py` files hold nothing."""
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.name != "__init__.py"}
    return sorted(str(path.relative_to(ROOT)) for path in found)


def read_fixed() -> list[Fixed]:
    """The changes made by hand."""
    read = tomllib.loads((_HERE / "fixed.toml").read_text("utf-8"))
    return [Fixed(**{**change, "tests": tuple(change["tests"])}) for change in read.get("change", [])]
