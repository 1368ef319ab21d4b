"""Settings that are wrong: refused at the start of every program, in one sentence that names what is allowed."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.core.settings import PROJECT_FOLDER, LogLevel, MachineSize, Settings, WrongSettings
from app.engine import devices
from app.engine.devices import check_device
from tests.running import free_port

SIZES = "allowed is big, medium, little or tiny."


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("MACHINE_SIZE", "huge", f"The setting MACHINE_SIZE is 'huge'; {SIZES}"),
        ("ATELIER_MACHINE_SIZE", "BIG ", f"The setting ATELIER_MACHINE_SIZE is 'BIG '; {SIZES}"),
        ("ATELIER_ENGINE", "gpu", "The setting ATELIER_ENGINE is 'gpu'; allowed is local, test or ray."),
        (
            "ATELIER_LOG_LEVEL",
            "LOUD",
            "The setting ATELIER_LOG_LEVEL is 'LOUD'; allowed is DEBUG, INFO, WARNING or ERROR.",
        ),
        ("ATELIER_WEB_SERVER", "nginx", "The setting ATELIER_WEB_SERVER is 'nginx'; allowed is gunicorn or waitress."),
        ("ATELIER_PORT", "70000", "The setting ATELIER_PORT is '70000'; allowed is less than or equal to 65535."),
        ("ATELIER_THREADS", "many", "The setting ATELIER_THREADS is 'many'; allowed is a valid integer"),
        ("HF_HUB_OFFLINE", "perhaps", "The setting HF_HUB_OFFLINE is 'perhaps'; allowed is a valid boolean"),
    ],
)
def test_a_wrong_value_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(WrongSettings) as wrong:
        Settings()
    assert wrong.value.message.startswith(sentence)
    assert "\n" not in wrong.value.message


def test_all_wrong_values_are_told_and_no_secret_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_PORT", "x")
    monkeypatch.setenv("ATELIER_THREADS", "1")
    with pytest.raises(WrongSettings, match=r"ATELIER_PORT.*; The setting ATELIER_THREADS"):
        Settings()
    with pytest.raises(WrongSettings) as wrong:
        Settings(api_key=["hidden words"])
    assert "hidden" not in wrong.value.message


def test_an_empty_variable_is_none_and_a_level_may_be_written_small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MACHINE_SIZE", "ATELIER_DEVICE", "ATELIER_MEMORY_TIER", "ATELIER_WEB_SERVER"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("ATELIER_LOG_LEVEL", "debug")
    settings = Settings()
    assert (settings.machine_size, settings.device, settings.memory_tier, settings.web_server) == (None,) * 4
    assert settings.log_level is LogLevel.DEBUG
    monkeypatch.setenv("MACHINE_SIZE", "tiny")
    assert Settings().machine_size is MachineSize.TINY


@pytest.mark.parametrize(
    ("program", "environment", "sentence"),
    [
        (["image_generation_service.py"], {"MACHINE_SIZE": "huge"}, f"The setting MACHINE_SIZE is 'huge'; {SIZES}"),
        (["-m", "app.ui"], {"MACHINE_SIZE": "huge"}, f"The setting MACHINE_SIZE is 'huge'; {SIZES}"),
        (["-m", "app", "jobs", "list"], {"MACHINE_SIZE": "huge"}, f"The setting MACHINE_SIZE is 'huge'; {SIZES}"),
        (
            ["image_generation_service.py"],
            {"ATELIER_DEFAULT_MODEL": "pocket-upscaler"},  # it is there, but it does not draw
            "The setting ATELIER_DEFAULT_MODEL is 'pocket-upscaler'; allowed is one of: pocket, sdxl-turbo, ",
        ),
        (
            ["image_generation_service.py"],
            {"ATELIER_DEVICE": "cuda:99"},
            "The setting ATELIER_DEVICE is 'cuda:99'; this machine has ",
        ),
    ],
)
def test_every_program_says_so_at_its_start_and_ends(
    tmp_path: Path, program: list[str], environment: dict[str, str], sentence: str
) -> None:
    own = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "ATELIER_PORT": str(free_port())}
    own |= {f"ATELIER_{name}_FOLDER": str(tmp_path / name) for name in ("DATA", "OUTPUT", "LOGS")}
    done = subprocess.run(
        [sys.executable, *program], cwd=PROJECT_FOLDER, env=own | environment, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_device_is_looked_for_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "_list_gpus", lambda: "GPU 0: Some card (UUID: GPU-1)\n")
    for wanted in ("cuda", "cuda:0", "cpu", "xpu", None):
        check_device(Settings(device=wanted))
    for wanted in ("cuda:9", "gpu", "cpu:0"):
        with pytest.raises(WrongSettings, match=f"ATELIER_DEVICE is '{wanted}'; this machine has cuda:0, .*cpu"):
            check_device(Settings(device=wanted))
    check_device(Settings(device="cuda:9", engine="test"))
    for system, processor in (("linux", "x86_64"), ("linux", "arm64"), ("darwin", "x86_64")):
        monkeypatch.setattr("sys.platform", system)
        monkeypatch.setattr("platform.machine", lambda processor=processor: processor)
        with pytest.raises(WrongSettings, match=r"this machine has cuda:0, cpu"):
            check_device(Settings(device="mps"))
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    check_device(Settings(device="mps"))
