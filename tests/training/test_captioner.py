"""The small captioner that is shipped, and how it was trained."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _captioner_on_the_path(_pocket_on_the_path: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "training" / "captioner"))


def test_a_caption_names_the_thing_that_was_drawn_in_both_languages() -> None:
    from scenes import Scene, Thing
    from wording import caption, thing_of

    scene = Scene((Thing("apple", "green", 3),), place="table")
    assert caption(scene, "en") == "three green apples on a table"
    assert caption(scene, "zh") == "三个绿色的苹果在桌子上"
    assert thing_of(caption(scene, "en"), "en") == thing_of(caption(scene, "zh"), "zh") == scene.things[0]
    assert thing_of("nothing that I know", "en") is None


def test_training_that_was_ended_goes_on_where_it_was(tmp_path: Path) -> None:
    from train_captioner import train

    few = {"pictures": 8, "measured": 1, "size": 4}
    begun = train(tmp_path / "two", steps=1, of=2, **few)
    before = begun.decoder.lm_head.weight.clone()
    went_on = train(tmp_path / "two", steps=2, of=2, **few)
    at_once = train(tmp_path / "one", steps=2, of=2, **few)
    assert torch.allclose(went_on.decoder.lm_head.weight, at_once.decoder.lm_head.weight, atol=1e-5)
    assert not torch.allclose(went_on.decoder.lm_head.weight, before, atol=1e-5)


def test_the_cells_of_what_it_learns_from_say_what_lies_there_and_nothing_held_out_is_among_it() -> None:
    from sights import CELLS, SIDE, sight
    from words import nouns

    keys, found = list(nouns()), 0
    for number in range(24):
        seen = sight(number)
        assert (seen.pixels.shape, seen.nouns.shape) == ((SIDE, SIDE, 3), (CELLS, CELLS))
        named = {keys[noun - 1] for noun in seen.nouns.flat if noun > 0}
        assert named <= ({thing.noun for thing in seen.scene.things} if seen.scene else set())
        assert seen.scene is None or not seen.scene.is_held_out
        found += len(named)
    assert found >= 8


def test_a_near_copy_is_looked_for_among_pictures_that_differ() -> None:
    from figures import COPIES, near_copies

    def colours(file: bytes) -> bytes:
        with Image.open(io.BytesIO(file)) as picture:
            return bytes(value // 2 for value in picture.convert("RGB").resize((4, 4)).tobytes())

    found = near_copies(colours, 3)
    assert found.keys() == COPIES.keys()
    assert found["as JPEG"] == 100.0
