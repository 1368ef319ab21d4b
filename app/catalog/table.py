"""The catalog's file. Whoever edits it may save half of it: the last version that could be read stays in use."""

import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from app.catalog.entry import ModelEntry
from app.core.errors import CatalogUnreadable
from app.core.names import is_clean, shown_name
from app.families import is_known

MAX_BYTES = 8 * 2**20
MAX_KEY_CHARS = 200


class Table:
    """The entries of a catalog file; it is read again only when it changed, for reading takes 3 ms. Any thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._version: tuple[int, ...] | None = None
        self._entries: list[ModelEntry] = []
        self.problem: CatalogUnreadable | None = None

    def entries(self) -> list[ModelEntry]:
        """A new list in the order of the file; `problem` says afterwards why it is that of an older version.

        An entry that is wrong by itself is there, with its key and the reason.
        """
        try:
            status = self._file.stat()
            version = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            if version != self._version:
                self._entries, self.problem = self._read(), None
                self._version = version
        except FileNotFoundError:
            self._version, self.problem = None, self._stale("is gone") if self._entries else None
        except OSError as error:
            self._version, self.problem = None, self._stale(f"cannot be read: {error.strerror}")
        except (ValueError, RecursionError) as error:
            self._version, self.problem = version, self._stale(f"is not readable: {str(error)[:200]}")
        return list(self._entries)

    def _read(self) -> list[ModelEntry]:
        with self._file.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        table: Mapping[str, Any] = tomllib.loads(text.decode("utf-8"))
        if not table and self._entries:
            raise ValueError("it is empty")
        return [_entry(key, values) for key, values in table.items()]

    def _stale(self, what: str) -> CatalogUnreadable:
        instead = "its last version is used" if self._entries else "there is no earlier version"
        return CatalogUnreadable(
            f"models/{self._file.name} {what}; {instead}.", hint="Mend the file; it is read again by itself."
        )


def _entry(key: str, values: object) -> ModelEntry:
    name = key if is_clean(key) and len(key) <= MAX_KEY_CHARS else shown_name(key) or "(no key)"
    if not isinstance(values, dict):
        return ModelEntry(key=name, title=name, refused=f"The catalog has no table [{name}], only a value.")
    try:
        entry = ModelEntry.model_validate({**values, "key": name})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return ModelEntry(
            key=name, title=name, refused=f"The catalog's entry [{name}] is wrong: {where}: {first['msg']}."
        )
    if name != key:
        return entry.model_copy(update={"refused": f"The catalog's key {name} has characters that cannot be shown."})
    if not is_known(entry.pipeline):
        reason = f"The catalog's entry [{name}] is wrong: pipeline {shown_name(entry.pipeline)!r} is not run here."
        return ModelEntry(key=name, title=name, refused=reason)
    for field in ("path", "config", "transformer"):
        if not _is_inside(getattr(entry, field)):
            reason = f"The catalog's entry [{name}] is wrong: {field} must be a name inside the models folder."
            return ModelEntry(key=name, title=name, refused=reason)
    return entry


def _is_inside(path: str | None) -> bool:
    """True if a path can only lead to something below the models folder, on every system."""
    if path is None:
        return True
    parts = PurePosixPath(path)
    plain = path == str(parts) or path == f"{parts}/"
    return (
        plain
        and not parts.is_absolute()
        and all(is_clean(part) and part not in ("..", ".") for part in parts.parts)
        and not any(char in path for char in "\\:")
    )
