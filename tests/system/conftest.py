"""A models folder for services with the fast test engine."""

from pathlib import Path

import pytest

CATALOG = """
[one]
title = "One"
path = "one"
size_range = { low = 64, high = 512, multiple = 8 }
"""


@pytest.fixture
def models_folder(tmp_path: Path) -> Path:
    """A catalog with one model; the test engine needs no files of it."""
    folder = tmp_path / "models"
    (folder / "one").mkdir(parents=True)
    (folder / "catalog.toml").write_text(CATALOG)
    return folder
