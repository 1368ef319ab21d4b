"""What code in the child can reach when a model's code is hostile: its model, a folder of its own, and nothing else."""

import json
import logging
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.confine import missing
from app.core.errors import EngineUnavailable
from app.core.settings import PROJECT_FOLDER
from app.engine.local import LocalEngine
from tests.engine import hostile_maker
from tests.engine.conftest import MakeEngine, a_job
from tests.engine.watching import ignore, made_by, nobody

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or bool(missing()), reason="this machine has no walls"
)
SECRETS = {
    name: f"secret-of-{name}"
    for name in (
        "PGPASSWORD", "GITHUB_PAT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SSH_AUTH_SOCK",
        "HF_TOKEN", "ATELIER_API_KEY", "ATELIER_DATABASE_URL", "DATABASE_URL", "OPENAI_API_KEY", "MYSQL_PWD", "GH_PAT",
        "KUBECONFIG", "DOCKER_HOST", "https_proxy", "CUDA_LICENSE_KEY", "TORCH_UPLOAD_TOKEN", "PIP_INDEX_URL",
        "VAULT_ADDR", "NETRC", "COMPANY_LOGIN",
    )
}  # fmt: skip
EXITS_BEHIND_WALLS = """
import socket, sys
from app.engine.makers.testing import FastMaker, serve
socket.socketpair()
if __name__ == "__main__":
    serve(FastMaker)
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules a child can run."""
    folder = tmp_path / "code"
    folder.mkdir()
    shutil.copy(hostile_maker.__file__, folder / "hostile_maker.py")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """Everything that is worth stealing, where the service would have it."""
    home, data, models = tmp_path / "home", tmp_path / "data", tmp_path / "models"
    pictures = models / "pictures"
    for folder in (home / ".ssh", data, pictures, models / "one"):
        folder.mkdir(parents=True, exist_ok=True)
    (models / "one" / "weights").write_text("the model")
    files = {
        "database": data / "atelier.db",
        "key": data / "api_keys",
        "spare": data / "spare",
        "home_file": home / ".ssh" / "id_ed25519",
        "picture": pictures / "one.png",
    }
    for file in files.values():
        file.write_text("secret")
    monkeypatch.setenv("HOME", str(home))
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as local,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets,
    ):
        for listener, name in ((local, "socket"), (packets, "packets")):
            listener.bind(str(tmp_path / name))
            listener.listen()
        yield {
            **{name: str(file) for name, file in files.items()},
            "port": tcp.getsockname()[1],
            "socket": str(tmp_path / "socket"),
            "packets": str(tmp_path / "packets"),
            "home": str(home),
            "models": str(models),
            "model_file": str(models / "one" / "weights"),
            "code": str(PROJECT_FOLDER / "app" / "__init__.py"),
            "beside": str(PROJECT_FOLDER / "pyproject.toml"),
            "tmp": str(tmp_path / "left-behind"),
        }


def what_it_did(engine: LocalEngine, there: dict[str, object]) -> dict[str, Any]:
    """The recipe of the hostile maker's picture."""
    [outcome] = made_by(engine, [a_job(json.dumps(there))], ignore, nobody)
    assert outcome.error is None
    return outcome.pictures[0].how


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])  # a GPU's walls are a little lower
def test_hostile_code_reaches_no_network_no_database_no_key_no_home_and_no_other_process(
    make_engine: MakeEngine, there: dict[str, object], monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    engine = make_engine(module="hostile_maker", device=device, engine="local", confine="required")
    did = what_it_did(engine, there)
    assert did["came_through"] == []
    assert len(did["refused"]) == len(hostile_maker.attempts(there, Path()))
    assert did["own"] == "its own folder"
    assert did["model"] == "the model"
    text = json.dumps(did["environment"])
    assert [name for name, value in SECRETS.items() if value in text] == []
    assert did["environment"]["HF_HUB_OFFLINE"] == "1"
    for stolen in ("key", "spare", "database", "home_file"):
        assert Path(str(there[stolen])).read_text() == "secret"


@pytest.mark.usefixtures("code")
def test_the_same_code_gets_out_where_the_owner_switched_the_walls_off(
    make_engine: MakeEngine, there: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    there |= {"spare": there["picture"], "code": there["socket"] + "-not-code"}
    caplog.set_level(logging.WARNING)
    did = what_it_did(make_engine(module="hostile_maker", confine="off"), there)
    # What else is refused then depends on the machine: whether processes may be traced, say.
    assert {
        "connect to a port of this machine",
        "connect to a socket of this machine",
        "connect as a GPU's driver may not",
        "read the database",
        "read a key",
        "read the home folder",
        "start a shell",
    } <= set(did["came_through"])
    assert "not fully confined. ATELIER_CONFINE=off." in caplog.text


def test_its_folder_is_gone_when_it_has_ended_and_dead_services_leave_none(
    make_engine: MakeEngine, tmp_path: Path
) -> None:
    scratch = tmp_path / "data" / "scratch"
    (scratch / "999999999-dead").mkdir(parents=True)
    engine = make_engine()
    engine.start()
    assert len(list(scratch.iterdir())) == 1
    engine.close()
    assert list(scratch.iterdir()) == []


READS = """
from pathlib import Path
from app.engine.makers.testing import FastMaker, serve
class Reader(FastMaker):
    def load(self, entry, folder, report):
        for file in (folder / entry.path).glob("weights"):
            print("it reads", file.read_text(), flush=True)
if __name__ == "__main__":
    serve(Reader)
"""


def test_a_model_that_came_later_and_one_behind_a_link_can_be_read(
    make_engine: MakeEngine, code: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (code / "reader.py").write_text(READS)
    caplog.set_level(logging.DEBUG)
    models, elsewhere = tmp_path / "models", tmp_path / "big-disk" / "two"
    (models / "one").mkdir(parents=True)
    engine = make_engine(module="reader")
    engine.start()
    first = engine.status().pid
    made_by(engine, [a_job()], ignore, nobody)
    assert engine.status().pid == first
    elsewhere.mkdir(parents=True)
    (elsewhere / "weights").write_text("another disk")
    (models / "two").symlink_to(elsewhere)
    [outcome] = made_by(engine, [a_job(model="two")], ignore, nobody)
    assert outcome.error is None
    [told] = [record for record in caplog.records if "it reads another disk" in record.getMessage()]
    assert told.levelno == logging.DEBUG  # what is printed may quote a prompt
    assert engine.status().restarts == 0


def test_a_link_to_the_home_folder_opens_nothing(
    make_engine: MakeEngine, code: Path, there: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    (code / "reader.py").write_text(READS.replace('glob("weights")', 'glob(".ssh/*")'))
    caplog.set_level(logging.DEBUG)
    Path(str(there["models"]), "two").symlink_to(str(there["home"]))
    engine = make_engine(module="reader")
    outcomes = [made_by(engine, [a_job(model="two")], ignore, nobody)[0] for _ in range(2)]
    assert [len(outcome.pictures) for outcome in outcomes] == [1, 1]
    assert "it reads" not in caplog.text
    assert engine.status().restarts == 0
    assert sum("is private" in record.message for record in caplog.records if str(there["home"]) in record.message) == 1


def test_only_a_gpus_process_is_started_without_walls_when_it_cannot_start_behind_them(
    make_engine: MakeEngine, code: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (code / "proud.py").write_text(EXITS_BEHIND_WALLS)
    on_gpu = make_engine(module="proud", device="cuda:0", engine="local")
    on_gpu.start()
    assert on_gpu.status().alive
    assert "started without them" in caplog.text
    for values in ({"device": "cpu"}, {"device": "cuda:0", "confine": "required"}):
        with pytest.raises(EngineUnavailable):
            make_engine(module="proud", engine="local", **values).start()


def test_where_walls_are_required_and_missing_nothing_starts_and_otherwise_it_is_said_once(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.engine.launch.missing", lambda: ("This kernel has no Landlock.",))
    with pytest.raises(EngineUnavailable, match="no Landlock"):
        make_engine(confine="required").start()
    engine = make_engine()
    engine.start()
    engine.rest()
    engine.start()
    assert sum("not fully confined" in record.message for record in caplog.records) == 1
