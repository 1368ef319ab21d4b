"""The training programs import each other by plain name, as `python training/pocket/train.py` does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

POCKET = Path(__file__).parents[2] / "training" / "pocket"


@pytest.fixture(autouse=True)
def _pocket_on_the_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(POCKET))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:  # `text`, `common`, `draw` are too common as names to stay behind
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(POCKET)):
            del sys.modules[name]
