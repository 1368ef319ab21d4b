"""Pictures made larger by a model, tile by tile, as transformers itself makes them."""

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.catalog import Catalog, folder_entry, tasks_of
from app.core.errors import GenerationCancelled, InvalidRequest, ModelRefused
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.core.settings import Settings
from app.core.task import Task
from app.diffusion import DiffusionService, upscalers
from app.diffusion.enlarge import enlarge_batch, enlarged
from app.diffusion.made import PassWatch
from app.diffusion.starts import Held
from app.diffusion.upscalers import Upscaler, Upscalers
from app.picture.fit import scaled
from tests.pipelines import make_tiny_upscaler, plain_upscaled

SIZE = (48, 32)
COLOURS = Image.frombytes("RGB", SIZE, bytes(i * i // 7 % 256 for i in range(SIZE[0] * SIZE[1] * 3)))
_FILE = io.BytesIO()
COLOURS.save(_FILE, "PNG")
NAME = hashlib.sha256(_FILE.getvalue()).hexdigest()
HELD = Held({NAME: _FILE.getvalue()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_upscaler(tmp_path_factory.mktemp("models") / "larger")


@pytest.fixture(scope="module")
def upscaler(folder: Path) -> Upscaler:
    return Upscalers("cpu").load(folder_entry(folder), Path("/"))


def ask(scale: int = 2, **fields: Any) -> GenerationRequest:
    values = {"prompt": "", "task": "upscale", "inputs": [{"sha256": NAME}], "scale": scale, "seed": 1, "width": 64,
              "height": 64, "num_inference_steps": 1, "model": "larger"}  # fmt: skip
    return GenerationRequest.model_validate(values | fields)


def test_a_picture_is_what_plain_transformers_makes_of_it(folder: Path, upscaler: Upscaler) -> None:
    made = enlarged(ask(), HELD, upscaler)
    wanted = plain_upscaled(folder, COLOURS)
    assert (made.width, made.height, made.rgb) == (96, 64, wanted.tobytes())
    assert (made.how["upscaler"], made.how["model"], made.how["notes"]) == ("larger", "larger", [])
    twice = plain_upscaled(folder, wanted)
    assert enlarged(ask(4), HELD, upscaler).rgb == twice.tobytes()
    third = enlarged(ask(3), HELD, upscaler)
    assert third.rgb == scaled(twice, 144, 96, Image.Resampling.LANCZOS).tobytes()
    assert third.how["notes"] == ["made 192x128 by the model, then reduced to 144x96"]


class Heard(PassWatch):
    def __init__(self, most: int = 99) -> None:
        self.steps: list[tuple[int, int]] = []
        self.pictures: list[Picture] = []
        self.ends: list[Any] = []
        self._most = most

    def step(self, index: int, step: int, of: int, preview: bytes | None) -> None:
        self.steps.append((step, of))

    def picture(self, index: int, picture: Picture) -> None:
        self.pictures.append(picture)

    def ended(self, index: int, error: Any, seconds: float) -> None:
        self.ends.append(error)

    def cancelled(self, index: int) -> bool:
        return len(self.steps) >= self._most


def test_each_tile_is_told_and_a_cancel_ends_between_two(upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upscalers, "TILE", 16)
    whole, stopped = Heard(), Heard(most=2)
    enlarge_batch([ask()], whole, HELD, upscaler)
    assert whole.steps == [(step, 6) for step in range(1, 7)]
    assert (whole.pictures[0].width, whole.ends) == (96, [None])
    enlarge_batch([ask()], stopped, HELD, upscaler)
    assert (len(stopped.steps), stopped.pictures) == (2, [])
    assert isinstance(stopped.ends[0], GenerationCancelled)


def test_what_is_cut_into_tiles_is_nearly_what_it_would_be_in_one(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    smooth = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    whole = upscaler.enlarge(smooth, 2, lambda done, of: None)
    monkeypatch.setattr(upscalers, "TILE", 32)
    tiled = upscaler.enlarge(smooth, 2, lambda done, of: None)
    assert max(abs(a - b) for a, b in zip(whole.tobytes(), tiled.tobytes(), strict=True)) <= 24
    assert tiled.size == (128, 128)
    odd = upscaler.enlarge(smooth.crop((0, 0, 37, 5)), 2, lambda done, of: None)
    assert odd.size == (74, 10)


def test_a_folder_beside_the_catalog_makes_pictures_larger_and_none_from_words(folder: Path) -> None:
    catalog = Catalog(Settings(models_folder=folder.parent))
    [entry] = catalog.entries()
    assert (entry.key, entry.refused, tasks_of(entry)) == ("larger", None, (Task.UPSCALE,))
    assert entry.size_bytes > 0
    with pytest.raises(InvalidRequest) as refused:
        catalog.resolve(GenerationRequest(prompt="a cat", model="larger"))
    assert refused.value.errors[0].field == "task"
    assert catalog.resolve(GenerationRequest(**ask().model_dump())).model == "larger"


def test_files_that_are_no_such_model_are_refused(folder: Path, tmp_path: Path) -> None:
    for number, (name, change) in enumerate(
        (("model.safetensors", b""), ("config.json", b"{}"), ("config.json", b'{"embed_dim": 1200000}'))
    ):
        broken = shutil.copytree(folder, tmp_path / str(number))
        own = json.loads((broken / "config.json").read_bytes())
        whole = json.dumps(own | json.loads(change)).encode() if name == "config.json" and len(change) > 2 else change
        (broken / name).write_bytes(whole)
        entry = folder_entry(broken).model_copy(update={"pipeline": folder_entry(folder).pipeline})
        with pytest.raises(ModelRefused):
            Upscalers("cpu").load(entry, Path("/"))


def test_the_library_class_makes_pictures_larger_by_a_model(folder: Path, tmp_path: Path) -> None:
    service = DiffusionService(tmp_path / "out", device="cpu", models_folder=folder.parent)
    made = service.upscale(COLOURS, 2, model="larger")
    assert made["success"], made
    assert made["images"][0].tobytes() == plain_upscaled(folder, COLOURS).tobytes()
    request = made["metadata"][0]["request"]
    assert (request["model"], request["num_inference_steps"], request["scheduler"]) == ("larger", None, None)
    assert not service.generate_image("a cat", model="larger")["success"]
