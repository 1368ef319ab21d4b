"""All vectors are looked through for the nearest, on each database."""

import numpy as np
import pytest

from app.library import likeness
from tests.library.conftest import Shelf

MODEL, SIZE = "looks", 48


@pytest.fixture
def shelf(shelf_on_each: Shelf) -> Shelf:
    """An empty library on each database."""
    return shelf_on_each


def vectors(count: int) -> np.ndarray:
    """Bytes of every value: the zero that ends texts, and what no text has."""
    numbers = np.random.default_rng(3).integers(-127, 128, (count, SIZE), dtype=np.int8)
    numbers[:, :3] = (0, -1, 127)
    return numbers


@pytest.mark.parametrize("block", [2, 1024])
def test_the_nearest_are_found_however_many_are_compared_at_a_time(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(likeness, "BLOCK", block)
    ids = [image.id for image in shelf.save(count=7)]
    numbers = vectors(len(ids))
    shelf.library.keep_looks(MODEL, {each: row.tobytes() for each, row in zip(ids, numbers, strict=True)})
    asked = vectors(8)[-1]
    cosines = numbers.astype(float) @ asked / np.linalg.norm(numbers.astype(float), axis=1)
    wanted = [ids[place] for place in np.argsort(-cosines)]
    for limit in (1, 3, 50):
        assert [image.id for image in shelf.library.nearest(MODEL, asked.tobytes(), limit)] == wanted[:limit]
    assert shelf.library.look_of(MODEL, ids[2]) == numbers[2].tobytes()


def test_what_cannot_be_compared_or_is_gone_is_not_found(shelf: Shelf) -> None:
    fits, of_another, of_another_size, unreadable, gone = (image.id for image in shelf.save(count=5))
    row, longer = vectors(1)[0].tobytes(), bytes(range(SIZE + 1))
    shelf.library.keep_looks(MODEL, {fits: row, of_another_size: longer, unreadable: b"", gone: row})
    shelf.library.keep_looks("another", {of_another: row})
    shelf.library.delete(gone, forever=True)
    assert [image.id for image in shelf.library.nearest(MODEL, row, 10)] == [fits]
    assert shelf.library.nearest("nobody", row, 10) == []
    missing, last = shelf.library.not_looked_at(MODEL, 0, 10)
    assert missing == [of_another]
    assert shelf.library.not_looked_at(MODEL, last, 10) == ([], last)
