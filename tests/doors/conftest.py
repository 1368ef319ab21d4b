"""One running service for the tests of all doors."""

from collections.abc import Iterator

import pytest
import requests

from tests.running import RunningService
from tests.small_pocket import small_catalog, small_models


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with the fast test engine."""
    models = small_catalog(tmp_path_factory.mktemp("models"))
    with RunningService(tmp_path_factory.mktemp("doors"), MODELS_FOLDER=str(models)) as running:
        yield running


@pytest.fixture(scope="session")
def pocket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that draws with the small model."""
    models = small_models(tmp_path_factory.mktemp("models"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # other tests use the other cores
        running = RunningService(tmp_path_factory.mktemp("pocket"), ENGINE="local", MODELS_FOLDER=str(models))
    with running:
        yield running


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A plain HTTP client that uses no proxy."""
    with requests.Session() as session:
        session.trust_env = False
        yield session
