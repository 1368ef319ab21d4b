"""Atelier installed as a package, in an environment of its own and far from any checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from app import __version__
from app.core.settings import PROJECT_FOLDER
from app.shipped import unpack_shipped

LEFT_BEHIND = shutil.ignore_patterns(
    ".*", "tests", "docs", "training", "benchmarks", "data", "logs", "__pycache__", "build"
)
DRAW = """
from app import DiffusionService
service = DiffusionService(output_dir="here")
result = service.generate_image("a red apple", num_inference_steps=1, seed=1)
assert result["success"], result["message"]
print(result["paths"][0])
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment into which the built package was installed; its libraries are those of ours."""
    work = tmp_path_factory.mktemp("package")
    shutil.copytree(PROJECT_FOLDER, work / "source", ignore=LEFT_BEHIND)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "-w", work / "wheels", work / "source"], check=True, timeout=150)
    venv.create(work / "env", with_pip=False)
    [site] = (work / "env" / "lib").glob("python*/site-packages")
    (site / "ours.pth").write_text(sysconfig.get_path("purelib"))
    [wheel] = (work / "wheels").glob(f"atelier-{__version__}-*.whl")
    subprocess.run(
        [*pip, "--python", work / "env" / "bin" / "python", "install", *offline, wheel], check=True, timeout=150
    )
    return work / "env" / "bin"


def run(command: list[str | Path], folder: Path) -> str:
    """What a command prints, started in `folder` with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ATELIER_", "PYTHON"))}
    environment = kept | {"XDG_DATA_HOME": str(folder / "share"), "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_command_knows_its_version(installed: Path, tmp_path: Path) -> None:
    assert run([installed / "atelier", "--version"], tmp_path).strip() == __version__
    assert "--rebuild-library" in run([installed / "atelier-service", "--help"], tmp_path)


@pytest.mark.model
def test_the_library_draws_with_the_shipped_model(installed: Path, tmp_path: Path) -> None:
    path = run([installed / "python", "-c", DRAW], tmp_path).strip()
    assert (tmp_path / path).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "share" / "atelier" / "models" / "pocket" / "model_index.json").is_file()


def test_the_package_lists_the_shipped_catalog(installed: Path, tmp_path: Path) -> None:
    code = (
        "from app.core.settings import Settings; from app.shipped import unpack_shipped; "
        "unpack_shipped(Settings().models_folder)"
    )
    run([installed / "python", "-c", code], tmp_path)
    models = json.loads(run([installed / "atelier", "doctor", "--json"], tmp_path))["models"]
    assert "pocket" in {model["key"] for model in models}


def test_unpacking_that_was_cut_off_goes_on_and_replaces_nothing(tmp_path: Path) -> None:
    shipped, models = tmp_path / "shipped", tmp_path / "models"
    (shipped / "pocket").mkdir(parents=True)
    (shipped / "pocket" / "weights").write_text("shipped")
    (shipped / "catalog.toml").write_text("[pocket]")
    (models / "pocket").mkdir(parents=True)
    (models / "pocket" / "weights").write_text("the owner's")
    unpack_shipped(models, shipped)
    assert (models / "pocket" / "weights").read_text() == "the owner's"
    (models / "catalog.toml").write_text("changed")
    unpack_shipped(models, shipped)
    assert sorted(path.name for path in models.iterdir()) == ["catalog.toml", "pocket"]
    assert (models / "catalog.toml").read_text() == "changed"
