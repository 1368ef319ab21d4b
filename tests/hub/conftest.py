"""A hub with one tiny model, and a cache of one's own for each test."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants as hub_constants
import pytest

from app.core.errors import AtelierError
from app.hub.child import Wanted
from app.hub.fetch import fetch
from tests.hub_server import Hub, serve_hub
from tests.pipelines import make_tiny_sd

REPOSITORY = "someone/tiny"


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as its author might have uploaded it: with files that nobody needs."""
    folder = make_tiny_sd(tmp_path_factory.mktemp("hub") / "tiny")
    (folder / "README.md").write_text("About it")
    (folder / "pipeline.py").write_text("raise SystemExit")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    return folder


@pytest.fixture
def hub(tiny_repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in hub with the tiny model, which this process and its children use, with an empty cache."""
    with serve_hub(REPOSITORY, tiny_repository) as hub:
        cache = tmp_path / "hub cache"
        for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(cache))
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hub home"))
        # huggingface_hub has read its own copies when it was imported.
        monkeypatch.setattr(hub_constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            hub_constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", False)
        yield hub


@pytest.fixture
def wanted() -> Wanted:
    return Wanted(REPOSITORY)


def assert_same_files(folder: Path, original: Path) -> None:
    """Every file of a snapshot is the one that its author uploaded."""
    for file in folder.rglob("*"):
        if file.is_file():
            theirs = original / file.relative_to(folder)
            assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(theirs.read_bytes()).digest()


def error_of(wanted: Wanted) -> AtelierError:
    """What a download that fails says."""
    with pytest.raises(AtelierError) as failed:
        fetch(wanted)
    return failed.value
