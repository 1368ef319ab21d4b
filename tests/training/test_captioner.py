"""The small captioner that is shipped, and how it was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

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
