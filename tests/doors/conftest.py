"""One running service for the tests of all doors."""

from collections.abc import Iterator

import pytest
import requests

from tests.running import ROOT, RunningService


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with the fast test engine."""
    with RunningService(tmp_path_factory.mktemp("doors")) as running:
        yield running


@pytest.fixture(scope="module")
def pocket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that draws with the shipped model."""
    if not (ROOT / "models" / "pocket" / "model_index.json").exists():
        pytest.skip("the pocket model is not in this checkout")
    with RunningService(tmp_path_factory.mktemp("pocket"), ENGINE="local") as running:
        yield running


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A plain HTTP client that uses no proxy."""
    with requests.Session() as session:
        session.trust_env = False
        yield session
