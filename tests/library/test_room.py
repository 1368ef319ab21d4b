"""How much the pictures take, and what is said before the owner's limit or the disk is reached."""

from pathlib import Path

import pytest

from app.core.errors import LibraryFull
from app.library import room
from app.library.room import LibraryRoom
from app.storage import Folder
from tests.library.conftest import Shelf


def used(shelf: Shelf) -> int:
    return sum(file.stat().st_size for file in shelf.folder.rglob("*.png"))


def codes(shelf: Shelf, max_bytes: int | None, folder: Path | None = None) -> list[str]:
    return [
        warning.code for warning in LibraryRoom(shelf.database, Folder(folder or shelf.folder), max_bytes).warnings()
    ]


def test_the_library_is_full_with_the_last_byte_that_is_allowed(shelf: Shelf) -> None:
    assert LibraryRoom(shelf.database, Folder(shelf.folder), 1).used_bytes() == 0
    shelf.save(count=3)
    taken = used(shelf)
    assert LibraryRoom(shelf.database, Folder(shelf.folder), None).used_bytes() == taken
    LibraryRoom(shelf.database, Folder(shelf.folder), None).check()
    LibraryRoom(shelf.database, Folder(shelf.folder), taken + 1).check()
    with pytest.raises(LibraryFull, match="GiB"):
        LibraryRoom(shelf.database, Folder(shelf.folder), taken).check()


def test_the_owner_is_warned_from_nine_tenths(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SCARCE_BYTES", 0)
    shelf.save(count=3)
    taken = used(shelf)
    assert codes(shelf, None) == []
    assert codes(shelf, int(taken / 0.9) + 2) == []
    monkeypatch.setattr(room, "WARN_FROM", 0.5)
    assert codes(shelf, 2 * taken) == ["library_almost_full"]
    assert codes(shelf, 2 * taken + 2) == []
    monkeypatch.setattr(room, "WARN_FROM", 0.0)
    [warning] = LibraryRoom(shelf.database, Folder(shelf.folder), 3 * 2**30).warnings()
    assert "of the 3 GiB that their owner allows them" in warning.message


def test_a_disk_that_is_nearly_full_is_told_and_one_that_is_not_there_yet_is_not(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(room, "SCARCE_BYTES", 2**62)
    shelf.folder.mkdir()
    assert codes(shelf, None) == ["disk_almost_full"]
    assert codes(shelf, None, tmp_path / "nowhere") == []


def test_what_was_counted_holds_for_a_while_or_until_something_is_deleted(shelf: Shelf) -> None:
    counting = LibraryRoom(shelf.database, Folder(shelf.folder), None)
    shelf.save()
    before = counting.used_bytes()
    shelf.save()
    assert counting.used_bytes() == before
    counting.count_again()
    assert counting.used_bytes() == used(shelf) > 0


def test_what_was_counted_is_counted_again_in_time(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = LibraryRoom(shelf.database, Folder(shelf.folder), None)
    assert counting.used_bytes() == 0
    shelf.save()
    monkeypatch.setattr(room, "COUNTED_EVERY_S", -1.0)
    assert counting.used_bytes() == used(shelf) > 0
