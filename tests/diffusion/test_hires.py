"""Hires fix: both passes are what one would do by hand, on plain diffusers and through Atelier."""

import hashlib
import io
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image

from app.catalog import Catalog, ModelEntry, folder_entry
from app.core.errors import GenerationCancelled, InvalidRequest
from app.core.hires import schedule_steps
from app.core.schema import GenerationRequest
from app.core.settings import Settings
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from app.diffusion.pipelines import LoadedModel
from app.diffusion.starts import Held
from app.families import family_of
from app.picture import infotext
from app.picture.recipe import request_of
from tests.families import save
from tests.pipelines import make_tiny_upscaler, plain_upscaled

SIDE, LARGE = 64, 96
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def ask(**fields: Any) -> GenerationRequest:
    values = {
        "prompt": "a red apple", "model": "x", "num_inference_steps": 4, "guidance_scale": 4.0, "width": SIDE,
        "height": SIDE, "seed": 7, "scheduler": "default", "enable_hr": True, "hr_scale": 1.5, "strength": 0.5,
        "hr_second_pass_steps": 2,
    }  # fmt: skip
    return GenerationRequest.model_validate(values | fields)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {name: save(name, root / name) for name in ("sd15", "flux")}


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> LoadedModel:
    return ModelCache("cpu").load(folder_entry(folders["sd15"]), Path("/"))


def by_hand(folder: Path, *, latent: bool, larger: Path | None = None) -> bytes:
    """Both passes by two pipelines of plain diffusers, and between them an upscaler of plain transformers."""
    family = family_of(folder_entry(folder).pipeline)
    first = getattr(diffusers, family.pipeline).from_pretrained(folder)
    second = diffusers.AutoPipelineForImage2Image.from_pipe(first)
    words: dict[str, Any] = {"prompt": "a red apple", "num_inference_steps": 4, "guidance_scale": 4.0}
    for pipe in (first, second):
        pipe.set_progress_bar_config(disable=True)

    def noise() -> torch.Generator:
        return torch.Generator("cpu").manual_seed(7)

    kind = "latent" if latent else "pil"
    made = first(**words, width=SIDE, height=SIDE, generator=noise(), output_type=kind).images
    sides = {} if family.convolves else {"width": LARGE, "height": LARGE}
    if latent:
        start = torch.nn.functional.interpolate(made, size=(LARGE // 8, LARGE // 8), mode="bilinear", antialias=False)
    else:
        between = plain_upscaled(larger, made[0]) if larger else made[0]
        start = between.resize((LARGE, LARGE), Image.Resampling.LANCZOS)
    words["num_inference_steps"] = 4  # of which the last two are made
    return bytes(second(**words, image=start, strength=0.5, generator=noise(), **sides).images[0].tobytes())


@pytest.mark.parametrize(("name", "upscaler"), [("sd15", "Lanczos"), ("sd15", "Latent"), ("flux", "Lanczos")])
def test_both_passes_are_those_of_plain_diffusers(name: str, upscaler: str, folders: dict[str, Path]) -> None:
    loaded = ModelCache("cpu").load(folder_entry(folders[name]), Path("/"))
    steps: list[tuple[int, int]] = []
    request = ask(hr_upscaler=upscaler)
    [picture] = generate(loaded, request, on_step=lambda step, of, _: steps.append((step, of)))
    assert (picture.width, picture.height) == (LARGE, LARGE)
    assert picture.rgb == by_hand(folders[name], latent=upscaler == "Latent")
    assert steps == [(step, 6) for step in range(1, 7)]  # one progress over both
    assert picture.how["first_pass"] == {"width": SIDE, "height": SIDE}
    assert picture.how["notes"] == []


def test_a_model_enlarges_between_the_passes_tile_by_tile(folders: dict[str, Path], tmp_path: Path) -> None:
    larger, cache = make_tiny_upscaler(tmp_path / "larger"), ModelCache("cpu")
    asked = Catalog(Settings(models_folder=tmp_path)).resolve_for(
        ask(hr_upscaler="larger", num_images=2), folder_entry(folders["sd15"])
    )
    loaded = cache.load(asked.entry, tmp_path)
    steps: list[tuple[int, int]] = []
    picture, other = generate(loaded, asked.request, on_step=lambda step, of, _: steps.append((step, of)))
    assert picture.rgb == by_hand(folders["sd15"], latent=False, larger=larger)
    assert other.rgb == generate(loaded, asked.request.model_copy(update={"seed": 8, "num_images": 1}))[0].rgb
    assert steps[-1] == (14, 14)  # of each picture four steps, a tile, two steps
    assert [step for step, _ in steps] == list(range(1, 15))
    assert picture.how["hires_upscaler"] == {"model": "larger", "repository": None}
    assert picture.how["notes"] == ["made 128x128 by the model, then reduced to 96x96"]
    assert "Hires upscaler: larger" in (text := infotext.build(asked.request, 7, picture.how))
    assert infotext.request_fields(infotext.parse(text))["hr_upscaler"] == "larger"
    heard: list[int] = []
    with pytest.raises(GenerationCancelled):  # asked at each step, and at the tile
        generate(loaded, asked.request, cancelled=lambda: len(heard) >= 4, on_step=lambda step, *_: heard.append(step))
    assert heard == [1, 2, 3, 4]
    assert "larger" in cache.loaded()
    assert (cache.unload("larger"), loaded.upscaler) == (True, None)


def test_it_is_the_same_as_asking_twice_and_each_of_a_batch_equals_its_single(loaded: LoadedModel) -> None:
    two = generate(loaded, ask(num_images=2))
    assert [picture.rgb for picture in two] == [generate(loaded, ask(seed=7 + i))[0].rgb for i in range(2)]
    alone = ask(enable_hr=False, strength=None, hr_scale=2.0, hr_second_pass_steps=0)
    [first] = generate(loaded, alone)
    small = Image.frombytes("RGB", (SIDE, SIDE), first.rgb)
    stream = io.BytesIO()
    small.resize((LARGE, LARGE), Image.Resampling.LANCZOS).save(stream, "PNG")
    name = hashlib.sha256(stream.getvalue()).hexdigest()
    start = {"task": "image", "inputs": [{"sha256": name}], "strength": 0.5, "width": LARGE, "height": LARGE}
    again = GenerationRequest.model_validate(alone.model_dump() | start)
    [second] = generate(loaded, again, pictures=Held({name: stream.getvalue()}))
    assert second.rgb == two[0].rgb
    [only_larger] = generate(loaded, ask(strength=0.0))
    assert only_larger.rgb == small.resize((LARGE, LARGE), Image.Resampling.LANCZOS).tobytes()


def test_a_cancel_ends_it_in_either_pass(loaded: LoadedModel) -> None:
    for after in (2, 5):
        asked: list[int] = []
        with pytest.raises(GenerationCancelled):
            generate(loaded, ask(), cancelled=lambda seen=asked, most=after: bool(seen.append(1)) or len(seen) > most)
        assert len(asked) == after + 1
    assert len(generate(loaded, ask())) == 1


def test_the_second_pass_makes_the_steps_that_are_asked_for() -> None:
    for steps in (1, 2, 7, 20, 30):
        for strength in (0.05, 0.1, 0.3, 0.55, 0.7, 1.0):
            schedule = schedule_steps(ask(hr_second_pass_steps=steps, strength=strength))
            assert min(int(schedule * strength), schedule) == steps, (steps, strength)
    assert schedule_steps(ask(hr_second_pass_steps=0)) == 8


def test_an_infotext_and_a_recipe_say_it_as_a1111_does() -> None:
    text = infotext.build(ask(hr_upscaler="Latent"), 7, {})
    assert "Denoising strength: 0.5" in text
    assert "Hires upscale: 1.5, Hires steps: 2, Hires upscaler: Latent" in text
    said = infotext.request_fields(infotext.parse(text))
    wanted = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "hr_second_pass_steps": 2, "strength": 0.5}
    assert {name: said[name] for name in wanted} == wanted
    assert "Hires" not in infotext.build(ask(enable_hr=False), 7, {})
    recipe = {"request": ask().model_dump(mode="json"), "seed": 7, "index": 0, "how": {}}
    assert request_of(recipe) == ask()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"hr_scale": 1.3}, "hr_scale"),
        ({"hr_scale": 4.0, "width": 1024, "height": 1024}, "hr_scale"),
        ({"enable_hr": False}, "hr_scale"),
        ({"hr_upscaler": "Latent", "strength": 0.0}, "strength"),
        ({"hr_upscaler": "R-ESRGAN 4x+"}, "hr_upscaler"),
        ({"hr_second_pass_steps": 900, "strength": 0.1}, "strength"),
        ({"task": "image", "inputs": [{"sha256": "0" * 64}]}, "enable_hr"),
        ({"pipeline": "FluxPipeline", "hr_upscaler": "Latent"}, "hr_upscaler"),
        ({"pipeline": "LuminaPipeline"}, "enable_hr"),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: dict[str, Any], field: str, tmp_path: Path) -> None:
    pipeline = {"pipeline": fields.pop("pipeline")} if "pipeline" in fields else {}
    entry = ModelEntry(key="x", title="X", path="x", **pipeline)
    with pytest.raises(InvalidRequest) as refused:
        Catalog(Settings(models_folder=tmp_path)).resolve_for(ask(**fields), entry)
    assert field in [error.field for error in refused.value.errors]
