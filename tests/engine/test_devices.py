"""Which devices there are."""

from pathlib import Path

import pytest

from app.catalog import Catalog
from app.core.settings import Settings
from app.engine.devices import build_engines, cuda_names, find_devices

TWO = """GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbb)
"""
SLICED = """GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa)
  MIG 3g.40gb     Device  0: (UUID: MIG-cccc)
  MIG 3g.40gb     Device  1: (UUID: MIG-dddd)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbb)
"""


@pytest.mark.parametrize(
    ("listing", "visible", "names"),
    [
        ("", None, []),
        ("No devices found.\n", None, []),
        (TWO, None, ["0", "1"]),
        (TWO, "1", ["1"]),
        (TWO, "1,0", ["1", "0"]),
        (TWO, "", []),
        (TWO, "-1", []),
        (TWO, "0,7,1", ["0"]),
        (TWO, "GPU-bb", ["GPU-bb"]),
        (SLICED, None, ["MIG-cccc", "MIG-dddd", "1"]),
        (SLICED, "MIG-dddd", ["MIG-dddd"]),
    ],
)
def test_cuda_devices_are_counted_as_cuda_counts_them(listing: str, visible: str | None, names: list[str]) -> None:
    assert cuda_names(listing, {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == names


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose nvidia-smi lists two GPUs and whose torch could use them."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<END\n{TWO}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "2.13.0")


@pytest.mark.usefixtures("two_gpus")
def test_each_gpu_gets_an_engine_that_sees_it_alone(tmp_path: Path) -> None:
    settings = Settings(models_folder=tmp_path)
    devices = find_devices(settings)
    assert [(device.name, device.torch_device) for device in devices] == [("cuda:0", "cuda:0"), ("cuda:1", "cuda:0")]
    assert [device.environment["CUDA_VISIBLE_DEVICES"] for device in devices] == ["0", "1"]
    assert [engine.status().device for engine in build_engines(settings, Catalog(settings))] == ["cuda:0", "cuda:1"]


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(("wanted", "visible"), [("cuda:1", "1"), ("cuda", "0")])
def test_a_named_gpu_is_the_only_one(wanted: str, visible: str) -> None:
    [device] = find_devices(Settings(device=wanted))
    assert device.environment["CUDA_VISIBLE_DEVICES"] == visible


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("values", [{"device": "cpu"}, {"engine": "test"}])
def test_gpus_are_left_alone_if_not_wanted(values: dict[str, str]) -> None:
    [device] = find_devices(Settings(**values))
    assert device.name == "cpu"


@pytest.mark.usefixtures("two_gpus")
def test_a_torch_without_cuda_uses_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "2.13.0+cpu")
    assert not any(device.name.startswith("cuda") for device in find_devices(Settings()))
