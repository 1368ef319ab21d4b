"""A model that knows only some sizes: every allowed size gives the picture of the nearest one."""

from pathlib import Path

import pytest
from PIL import Image

from app.catalog import ModelEntry
from app.core.errors import OutOfMemory
from app.core.schema import GenerationRequest
from app.core.settings import PROJECT_FOLDER
from app.diffusion import DiffusionService
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate, generate_batch
from app.diffusion.pipelines import LoadedModel
from app.picture import infotext
from app.picture.fit import cover
from app.picture.png import inspect
from app.picture.recipe import request_of
from tests.diffusion.conftest import Ask


def test_any_size_is_the_nearest_shape_enlarged_and_cut(tiny_entry: ModelEntry, ask: Ask) -> None:
    cache = ModelCache("cpu")
    shaped = cache.load(tiny_entry.model_copy(update={"shapes": ("64x64", "96x64")}), Path("/"))
    [known] = generate(shaped, ask(width=64, height=64))
    [wide] = generate(shaped, ask(width=640, height=400))
    [drawn] = generate(shaped, ask(width=96, height=64))
    assert "drawn" not in known.how
    assert not any("drawn at" in note for note in known.how["notes"])
    assert wide.how["drawn"] == {"width": 96, "height": 64}
    small = Image.frombytes("RGB", (96, 64), drawn.rgb)
    assert wide.rgb == cover(small, 640, 400, Image.Resampling.LANCZOS).tobytes()


def test_the_shipped_model_draws_512_and_says_how_and_its_recipe_makes_it_again(tmp_path: Path) -> None:
    service = DiffusionService(tmp_path, device="cpu", models_folder=PROJECT_FOLDER / "models")
    result = service.generate_image("a red apple", width=640, height=480, seed=3, model="pocket")
    assert result["success"], result["message"]
    [recipe] = result["metadata"]
    assert result["images"][0].size == (640, 480)
    assert any(note.endswith("to 640x480") for note in recipe["how"]["notes"])
    data = Path(result["paths"][0]).read_bytes()
    found = inspect(data)
    drawn = recipe["how"]["drawn"]
    assert f"Size: 640x480, Drawn size: {drawn['width']}x{drawn['height']}" in (found.parameters or "")
    assert infotext.request_fields(infotext.parse(found.parameters or ""))["width"] == 640
    again = request_of(found.recipe or {})
    assert isinstance(again, GenerationRequest)
    fields = again.model_dump(
        exclude={"num_images", "extra", "task", "inputs", "scale", "language", "written", "styles", "control"}
    )
    assert service.generate_image(**fields)["images"][0].tobytes() == result["images"][0].tobytes()


def test_memory_that_runs_out_while_a_picture_is_enlarged_fails_that_picture_alone(
    loaded: LoadedModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("app.diffusion.starts.delivered", refused)
        [made] = generate_batch(loaded, [ask()])
    assert made.pictures == ()
    assert isinstance(made.error, OutOfMemory)
    assert generate_batch(loaded, [ask()])[0].error is None
