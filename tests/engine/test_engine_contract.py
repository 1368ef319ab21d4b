"""Every engine keeps the contract."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.catalog import Catalog, ModelEntry
from app.core.settings import Settings
from app.engine.local import LocalEngine
from tests.engine.contract import EngineContract
from tests.janus import TOKENS, make_tiny_janus
from tests.pipelines import catalog_toml, make_tiny_sd


def an_engine(folder: Path, **values: object) -> LocalEngine:
    settings = Settings(
        models_folder=folder / "models", data_folder=folder / "data", default_model="tiny", device="cpu", **values
    )
    return LocalEngine("cpu", settings=settings, catalog=Catalog(settings))


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """The test engine's maker in a child."""
    folder = tmp_path_factory.mktemp("fast")
    (folder / "models").mkdir()
    catalog_toml(folder / "models", tiny={"title": "Tiny", "path": "tiny"})
    engine = an_engine(folder, engine="test")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """A diffusers pipeline with random weights in a confined child."""
    folder = tmp_path_factory.mktemp("real")
    make_tiny_sd(folder / "models" / "tiny")
    catalog_toml(folder / "models", tiny={"title": "Tiny", "path": "tiny", "width": 64, "height": 64})
    engine = an_engine(folder)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """A model that draws token by token, with random weights, in a confined child."""
    folder = tmp_path_factory.mktemp("tokens")
    make_tiny_janus(folder / "models" / "tiny")
    catalog_toml(folder / "models", tiny={"title": "Tiny", "path": "tiny", "pipeline": "JanusPipeline"})
    engine = an_engine(folder)
    yield engine
    engine.close()


class TestTheTestEngine(EngineContract):
    """`app.engine.makers.testing` in a child of its own."""

    @pytest.fixture
    def engine(self, fast: LocalEngine) -> LocalEngine:
        return fast

    @pytest.fixture
    def entry(self) -> ModelEntry:
        return ModelEntry(key="tiny", title="Tiny", path="tiny")


@pytest.mark.model
class TestTheLocalEngine(EngineContract):
    """`app.engine.makers.pipelines` with its pipelines."""

    @pytest.fixture
    def engine(self, real: LocalEngine) -> LocalEngine:
        return real

    @pytest.fixture
    def entry(self) -> ModelEntry:
        return ModelEntry(key="tiny", title="Tiny", path="tiny", width=64, height=64)


@pytest.mark.model
class TestTheLocalEngineTokenByToken(EngineContract):
    """`app.engine.makers.pipelines` with a model that draws token by token."""

    steps = TOKENS

    @pytest.fixture
    def engine(self, tokens: LocalEngine) -> LocalEngine:
        return tokens

    @pytest.fixture
    def entry(self) -> ModelEntry:
        return ModelEntry(key="tiny", title="Tiny", path="tiny", pipeline="JanusPipeline", width=64, height=64)
