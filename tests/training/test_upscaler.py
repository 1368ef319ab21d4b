"""The small upscaler that is shipped, and how it was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _upscaler_on_the_path(_pocket_on_the_path: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "training" / "upscaler"))


def test_what_is_shipped_beats_lanczos_by_more_than_two_decibels() -> None:
    from train_upscaler import measure
    from transformers import Swin2SRForImageSuperResolution

    network = Swin2SRForImageSuperResolution.from_pretrained(PROJECT / "models" / "pocket-upscaler")
    ours, lanczos = measure(network, 3)
    assert ours > lanczos + 2


def test_training_that_was_ended_goes_on_where_it_was(tmp_path: Path) -> None:
    from train_upscaler import train

    begun = train(tmp_path / "two", steps=1, of=2, pictures=6, measured=1)
    went_on = train(tmp_path / "two", steps=2, of=2, pictures=6, measured=1)
    at_once = train(tmp_path / "one", steps=2, of=2, pictures=6, measured=1)
    assert torch.allclose(went_on.upsample.conv.weight, at_once.upsample.conv.weight, atol=1e-5)
    assert not torch.allclose(went_on.upsample.conv.weight, begun.upsample.conv.weight, atol=1e-4)
