"""Each model says whether it runs on this machine, and what a picture of it took here."""

from pathlib import Path

import pytest

from app.catalog import ModelEntry
from app.core.settings import Settings
from app.machine import Gpu, Machine
from app.service.verdicts import Verdicts
from tests.service.conftest import House

GIB = 2**30
SMALL = ModelEntry(key="small", title="Small", parameters=10**9)
LARGE = ModelEntry(key="large", title="Large", parameters=10**12)


@pytest.mark.parametrize("gpus", [(), (Gpu("GPU", 24 * GIB),)])
def test_a_model_says_whether_it_fits_what_it_needs_and_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: tuple[Gpu, ...]
) -> None:
    here = Machine("Linux", "3.11", "CPU", 2, False, 32 * GIB, 30 * GIB, GIB, gpus)
    monkeypatch.setattr("app.service.verdicts.look_at_machine", lambda _folder: here)
    verdicts = Verdicts(Settings(output_folder=tmp_path))
    small, large = verdicts.of(SMALL), verdicts.of(LARGE)
    assert small is not None
    assert large is not None
    assert (small.fits, small.lossless, small.tier, small.hint) == (True, True, "resident", "")
    assert small.ram_there_bytes == 32 * GIB
    assert (small.vram_bytes is None, small.vram_there_bytes) == (not gpus, gpus[0].memory_bytes if gpus else None)
    assert not large.fits
    assert "It needs about" in large.hint
    assert verdicts.of(SMALL.model_copy(update={"parameters": 0})) is None


def test_what_a_picture_took_here_is_told_once_there_was_one(house: House) -> None:
    def model() -> dict[str, object]:
        return dict(house.client.get("/api/models/pocket").get_json())

    assert model()["seconds_a_picture"] is None
    assert model()["verdict"] is None  # an empty folder has no size
    house.image("to measure by")
    assert float(str(model()["seconds_a_picture"])) > 0
