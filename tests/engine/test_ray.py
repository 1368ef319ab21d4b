"""The engine whose devices are on machines of a Ray cluster: one cluster on this machine for all tests here."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.catalog import Catalog, ModelEntry
from app.core.errors import EngineLost
from app.core.settings import Settings, WrongSettings
from app.engine.base import Picture
from app.engine.cluster.attach import check_cluster
from app.engine.cluster.engine import RayEngine, build_ray_engines
from tests.engine.conftest import a_job
from tests.engine.contract import EngineContract
from tests.engine.watching import NoInputs, Noting, made_by
from tests.pipelines import catalog_toml
from tests.ray_nodes import a_cluster, with_token

TINY = ModelEntry(key="tiny", title="Tiny", path="tiny")
GONE_S = 30.0
NOBODY = "127.0.0.1:9"


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RayEngine]]:
    """Two engines on a cluster of one machine with room for two replicas."""
    folder = tmp_path_factory.mktemp("ray")
    for name in ("service", "machine"):
        (folder / name).mkdir()
    catalog_toml(folder / "service", tiny={"title": "Tiny", "path": "tiny"}, here={"title": "Here", "path": "here"})
    catalog_toml(folder / "machine", tiny={"title": "Tiny", "path": "elsewhere"})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in with_token().items():
            patch.setenv(name, value)
        own = {
            "ATELIER_ENGINE": "test",
            "ATELIER_DEFAULT_MODEL": "tiny",
            "ATELIER_MODELS_FOLDER": str(folder / "machine"),
            "ATELIER_DATA_FOLDER": str(folder / "machine-data"),
        }
        with a_cluster(folder, own, cpus=2) as node:
            settings = Settings(
                engine="ray",
                ray_address=node.address,
                ray_gpus=0,
                ray_max=2,
                default_model="tiny",
                models_folder=folder / "service",
                data_folder=folder / "data",
            )
            check_cluster(settings)
            both = build_ray_engines(settings, Catalog(settings))
            try:
                yield both
            finally:
                for each in both:
                    each.close()


def replica_of(engine: RayEngine) -> psutil.Process:
    """The process that Ray runs for it: the parent of the child with the models."""
    pid = engine.status().pid
    assert pid is not None
    parent = psutil.Process(pid).parent()
    assert parent is not None
    assert "Replica" in "".join(parent.cmdline())
    return parent


class TestTheRayEngine(EngineContract):
    """A replica with the test engine's maker in its child."""

    @pytest.fixture
    def engine(self, engines: list[RayEngine]) -> RayEngine:
        return engines[0]

    @pytest.fixture
    def entry(self) -> ModelEntry:
        return TINY


def test_two_replicas_make_the_parts_of_a_job_as_one_makes_it_whole(engines: list[RayEngine]) -> None:
    first, second = engines
    work = a_job(entry=TINY, num_images=4)
    [whole] = made_by(first, [work])
    [a] = made_by(first, [work.model_copy(update={"images": (0, 2)})])
    [b] = made_by(second, [work.model_copy(update={"images": (1, 3)})])
    parts = {picture.index: picture.rgb for picture in (*a.pictures, *b.pictures)}
    assert [parts[index] for index in range(4)] == [picture.rgb for picture in whole.pictures]
    assert replica_of(first).pid != replica_of(second).pid


def test_a_model_that_a_machine_does_not_have_is_a_reason_in_the_job(engines: list[RayEngine]) -> None:
    [result] = made_by(engines[0], [a_job(entry=ModelEntry(key="here", title="Here", path="here"))])
    assert result.error is not None
    assert result.error.code == "model_not_installed"
    assert "has no model 'here'" in result.error.message
    other = TINY.model_copy(update={"pipeline": "FluxPipeline"})
    [refused] = made_by(engines[0], [a_job(entry=other)])
    assert refused.error is not None
    assert "is another one on the machine" in refused.error.message


def test_a_lost_replica_is_no_crash_of_its_job_and_the_next_call_has_another(engines: list[RayEngine]) -> None:
    engine, work = engines[0], a_job(entry=TINY, num_images=4)
    [whole] = made_by(engine, [work])
    child, noting = engine.status().pid, Noting()

    def pull_the_plug(picture: Picture) -> None:
        if picture.index == 1:
            replica_of(engine).kill()

    noting.on_picture = pull_the_plug
    with pytest.raises(EngineLost):
        engine.run([work], NoInputs(), noting)
    kept = noting.pictures[work.job_id]
    assert [picture.index for picture in kept] == [0, 1]
    [rest] = made_by(engine, [work.model_copy(update={"attempt": 2, "images": (2, 3)})])
    assert [picture.rgb for picture in (*kept, *rest.pictures)] == [picture.rgb for picture in whole.pictures]
    assert engine.status().pid != child
    assert engine.status().restarts > 0


def test_what_a_dead_service_had_drawn_for_it_draws_no_more(engines: list[RayEngine]) -> None:
    engine = engines[0]
    engine.load("tiny", lambda _event: None)
    replica, child = replica_of(engine), psutil.Process(engine.status().pid)
    for relay in relays():  # the kernel ends them so when their service ends
        relay.kill()
    _gone, alive = psutil.wait_procs([replica, child], timeout=GONE_S)
    assert alive == []


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "RAY_AUTH_MODE is ''; allowed is 'token'"),
        ({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "t"}, "RAY_AUTH_MODE is 'disabled'"),
        ({"RAY_AUTH_MODE": "token"}, "there is no token in RAY_AUTH_TOKEN"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/dev/null"}, "is empty"),
    ],
)
def test_without_a_token_no_cluster_is_attached_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    check_cluster(Settings())  # which asks nothing of who has no cluster
    with pytest.raises(WrongSettings) as refused:
        check_cluster(Settings(engine="ray"))
    assert words in refused.value.message


def test_an_engine_asks_for_a_device_only_when_it_is_wanted_and_after_the_one_before_it(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    catalog_toml(tmp_path / "models", tiny={"title": "Tiny", "path": "tiny"})
    settings = Settings(
        engine="ray", ray_address=NOBODY, ray_min=0, models_folder=tmp_path / "models", default_model="tiny"
    )
    first, second, *_ = build_ray_engines(settings, Catalog(settings))
    wanted, not_wanted = lambda: True, lambda: False
    try:
        assert (first.ready(not_wanted), len(relays(NOBODY))) == (False, 0)
        assert (first.ready(wanted), second.ready(wanted), len(relays(NOBODY))) == (False, False, 1)
        assert (first.ready(not_wanted), len(relays(NOBODY))) == (False, 0)
        assert (second.ready(wanted), len(relays(NOBODY))) == (False, 1)
    finally:
        first.close()
        second.close()
    assert (first.ready(wanted), len(relays(NOBODY))) == (False, 0)


def relays(address: str = "") -> list[psutil.Process]:
    """The relays of this process that live and were given this address."""
    lines = [(each, " ".join(each.cmdline())) for each in psutil.Process().children()]
    return [each for each, line in lines if "app.engine.cluster.relay" in line and address in line]
