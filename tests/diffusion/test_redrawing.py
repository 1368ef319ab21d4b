"""Pictures drawn anew, larger: by the real upscale pipelines of diffusers, of random parameters, tile by tile."""

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image

from app.catalog import Catalog, folder_entry, kinds_of, tasks_of
from app.core.errors import GenerationCancelled, InvalidRequest, OutOfMemory
from app.core.schema import GenerationRequest
from app.core.settings import Settings
from app.core.task import Task
from app.diffusion import DiffusionService
from app.diffusion.cache import ModelCache
from app.diffusion.enlarge import enlarge_batch, enlarged
from app.diffusion.generate import generate
from app.diffusion.redrawing import Redrawing, filled_up, spans
from app.diffusion.starts import Held
from app.diffusion.upscalers import Upscaler
from app.picture import infotext
from app.tiers.model_parts import parts_of_entry, pixels_of_entry
from tests.diffusion.test_upscalers import Heard
from tests.pipelines import catalog_toml, make_tiny_latent_redrawer, make_tiny_redrawer, make_tiny_sd

# diffusers' older pipelines tell of outdated options.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
FACTORS = {"four": 4, "latent": 2}
WORDS: dict[str, Any] = {"prompt": "a red apple", "negative_prompt": "blurry", "guidance_scale": 4.0}
STEPS = 3


def coloured(width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), bytes(i * i // 7 % 256 for i in range(width * height * 3)))


def given(picture: Image.Image) -> tuple[str, Held]:
    """The name of a picture, and where it is found by it."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    name = hashlib.sha256(stream.getvalue()).hexdigest()
    return name, Held({name: stream.getvalue()})


def ask(name: str, scale: int, **fields: Any) -> GenerationRequest:
    values = {"task": "upscale", "inputs": [{"sha256": name}], "scale": scale, "seed": 7, "num_inference_steps": STEPS,
              **WORDS}  # fmt: skip
    return GenerationRequest.model_validate(values | fields)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_tiny_redrawer(folder / "four")
    make_tiny_latent_redrawer(folder / "latent")
    return folder


@pytest.fixture(scope="module")
def upscalers(models: Path) -> dict[str, Upscaler]:
    return {name: ModelCache("cpu").upscaler(folder_entry(models / name), models) for name in FACTORS}


def in_tiles_of(upscaler: Upscaler, tile: int) -> Upscaler:
    """The same upscaler with smaller tiles."""
    maker = upscaler.maker
    assert isinstance(maker, Redrawing)
    return replace(upscaler, maker=replace(maker, way=replace(maker.way, tile=tile)))


def plainly(folder: Path, picture: Image.Image, **fields: Any) -> Image.Image:
    """What the plain pipeline of diffusers makes of a picture."""
    pipe = getattr(diffusers, folder_entry(folder).pipeline).from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    noise = torch.Generator("cpu").manual_seed(7)
    made: Image.Image = pipe(image=picture, generator=noise, num_inference_steps=STEPS, **(WORDS | fields)).images[0]
    return made


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("guidance", [4.0, 0.0])
def test_a_picture_of_one_tile_is_what_plain_diffusers_makes_of_it(
    name: str, guidance: float, models: Path, upscalers: dict[str, Upscaler]
) -> None:
    picture, factor = coloured(64, 128), FACTORS[name]
    sha256, held = given(picture)
    made = enlarged(ask(sha256, factor, guidance_scale=guidance), held, upscalers[name])
    wanted = plainly(models / name, picture, guidance_scale=guidance)
    assert (made.width, made.height) == (64 * factor, 128 * factor) == wanted.size
    assert made.rgb == wanted.tobytes()
    assert (made.how["upscaler"], made.how["model"], made.seed) == (name, name, 7)
    level = {"noise_level": 20} if name == "four" else {}
    assert made.how["redrawn"] == {"steps": STEPS, "guidance_scale": guidance, **level, "tile": 128 if level else 512}
    assert set(made.how["versions"]) == {"torch", "diffusers", "transformers"}
    said = " ".join(made.how["notes"])
    assert ("the prompt has no effect" in said) is (name == "latent" and guidance == 0)
    assert ("the negative prompt has no effect" in said) is (guidance == 0)


@pytest.mark.parametrize("name", FACTORS)
def test_the_words_and_the_seed_make_another_picture_and_the_same_ones_the_same(
    name: str, upscalers: dict[str, Upscaler]
) -> None:
    sha256, held = given(coloured(64, 64))

    def made(**fields: Any) -> bytes:
        return enlarged(ask(sha256, FACTORS[name], **fields), held, upscalers[name]).rgb

    usual = made()
    assert made() == usual
    others = [made(seed=8), made(prompt="a green pear"), made(num_inference_steps=2), made(guidance_scale=8.0)]
    assert len({usual, *others}) == 5
    assert made(prompt="", negative_prompt="") not in (usual, *others)


@pytest.mark.parametrize(("name", "size"), [("four", (37, 5)), ("latent", (70, 9))])
def test_a_picture_of_any_size_becomes_larger(name: str, size: tuple[int, int], upscalers: dict[str, Upscaler]) -> None:
    sha256, held = given(coloured(*size))
    made = enlarged(ask(sha256, 2), held, upscalers[name])
    assert (made.width, made.height) == (2 * size[0], 2 * size[1])
    assert any("then reduced to" in note for note in made.how["notes"]) is (name == "four")
    filled = filled_up(coloured(3, 2), 4, 4)
    assert [filled.getpixel((3, y)) for y in range(4)] == [coloured(3, 2).getpixel((2, min(y, 1))) for y in range(4)]


@pytest.mark.parametrize(("name", "size", "tile"), [("four", (28, 40), 16), ("latent", (192, 128), 128)])
def test_each_step_of_each_tile_is_told_and_a_cancel_ends_within_a_tile(
    name: str, size: tuple[int, int], tile: int, upscalers: dict[str, Upscaler]
) -> None:
    sha256, held = given(coloured(*size))
    small, request = in_tiles_of(upscalers[name], tile), ask(sha256, FACTORS[name])
    tiles = small.tiles(*size, FACTORS[name])
    assert tiles == {"four": 2 * 3, "latent": 2}[name]
    whole, stopped, again = Heard(), Heard(most=STEPS + 2), Heard()
    enlarge_batch([request], whole, held, small)
    assert whole.steps == [(step, STEPS * tiles) for step in range(1, STEPS * tiles + 1)]
    enlarge_batch([request], stopped, held, small)
    assert (len(stopped.steps), stopped.pictures) == (STEPS + 2, [])
    assert isinstance(stopped.ends[0], GenerationCancelled)
    enlarge_batch([request], again, held, small)
    assert again.pictures[0].rgb == whole.pictures[0].rgb


def test_a_tile_depends_on_its_own_place_and_what_is_around_it_alone(upscalers: dict[str, Upscaler]) -> None:
    picture = coloured(40, 16)
    other = picture.copy()
    other.paste((255, 0, 0), (30, 0, 40, 16))
    small = in_tiles_of(upscalers["four"], 16)
    first, second = (enlarged(ask(sha256, 4), held, small) for sha256, held in map(given, (picture, other)))
    images = [Image.frombytes("RGB", (160, 64), made.rgb) for made in (first, second)]
    left, right = ([image.crop(box).tobytes() for image in images] for box in ((0, 0, 96, 64), (112, 0, 160, 64)))
    assert left[0] == left[1]
    assert right[0] != right[1]


def jumps(picture: Image.Image) -> torch.Tensor:
    """How far each column of a picture is from the one before it."""
    data = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    values = data.view(picture.height, picture.width, 3).float()
    return (values[:, 1:] - values[:, :-1]).abs().mean((0, 2))


@pytest.mark.parametrize(("name", "tile", "size"), [("four", 32, (116, 32)), ("latent", 128, (320, 64))])
def test_there_is_no_seam_between_tiles(
    name: str, tile: int, size: tuple[int, int], upscalers: dict[str, Upscaler]
) -> None:
    flat = Image.new("RGB", size, (120, 130, 140))
    small, factor = in_tiles_of(upscalers[name], tile), FACTORS[name]
    sha256, held = given(flat)
    made = enlarged(ask(sha256, factor), held, small)
    seen = jumps(Image.frombytes("RGB", (made.width, made.height), made.rgb))
    maker = small.maker
    assert isinstance(maker, Redrawing)
    edges = [edge * factor - 1 for span in maker._spans(size[0]) for edge in (span.start, span.stop)]
    inside = [edge for edge in edges if 0 <= edge < len(seen)]
    assert len(inside) >= 4
    elsewhere = torch.tensor([jump for at, jump in enumerate(seen.tolist()) if at not in inside])
    assert max(seen[edge] for edge in inside) <= elsewhere.max()


def test_the_shares_of_tiles_are_one_in_all_and_change_slowly() -> None:
    for length in (8, 128, 129, 240, 1000):
        parts = spans(length, 128, 16, 4)
        whole = torch.zeros(length * 4)
        for part in parts:
            assert part.stop - part.start == min(128, length)
            assert len(part.shares) == 4 * (part.stop - part.start)
            assert bool(((part.shares[1:] - part.shares[:-1]).abs() < 0.02).all())
            whole[part.start * 4 : part.stop * 4] += part.shares
        assert (parts[0].start, parts[-1].stop) == (0, length)
        assert torch.allclose(whole, torch.ones_like(whole))
    [alone] = spans(128, 128, 16, 4)
    assert bool((alone.shares == 1).all())


def test_a_folder_beside_the_catalog_is_an_upscaler_with_steps_and_guidance_of_its_own(models: Path) -> None:
    catalog = Catalog(Settings(models_folder=models))
    four, latent = catalog.entries()
    sha256, _ = given(coloured(8, 8))
    for entry, steps, guidance in ((four, 75, 9.0), (latent, 20, 0.0)):
        assert (entry.refused, entry.single, tasks_of(entry), kinds_of(entry)) == (
            None, False, (Task.UPSCALE,), ("upscales",)
        )  # fmt: skip
        asked = GenerationRequest(prompt="", task="upscale", inputs=[{"sha256": sha256}], scale=2, model=entry.key)
        filled = catalog.resolve(asked)
        assert (filled.num_inference_steps, filled.guidance_scale) == (steps, guidance)
        assert catalog.resolve(asked.model_copy(update={"num_inference_steps": 5})).num_inference_steps == 5
        for wrong in ({"scheduler": "Euler a"}, {"vae": "other"}, {"task": Task.TEXT, "inputs": (), "scale": 1}):
            with pytest.raises(InvalidRequest) as refused:
                catalog.resolve(asked.model_copy(update=wrong))
            assert next(iter(wrong)) in [error.field for error in refused.value.errors]


def test_what_it_needs_in_memory_is_told_by_its_parts(models: Path) -> None:
    four = folder_entry(models / "four").model_copy(update={"parameters": 868_000_000})
    parts = parts_of_entry(four)
    assert parts is not None
    assert (parts.encoders, parts.vae, parts.convolves) == (340_000_000, 55_000_000, True)
    assert parts.total == 868_000_000
    assert pixels_of_entry(four) == 512 * 512  # of a tile


def test_it_enlarges_between_the_passes_of_the_hires_fix_with_its_own_steps(models: Path, tmp_path: Path) -> None:
    folder = make_tiny_sd(tmp_path / "tiny").parent
    make_tiny_redrawer(folder / "four")
    own = {"title": "Four", "path": "four", "pipeline": folder_entry(folder / "four").pipeline, "guidance_scale": 4.0}
    catalog_toml(folder, four={**own, "num_inference_steps": STEPS})
    values = {"prompt": "a red apple", "num_inference_steps": 4, "guidance_scale": 2.0, "width": 64, "height": 64,
              "seed": 7, "model": "tiny", "scheduler": "default"}  # fmt: skip
    again = {"enable_hr": True, "hr_scale": 1.5, "strength": 0.5, "hr_second_pass_steps": 2, "hr_upscaler": "four"}
    asked = Catalog(Settings(models_folder=folder)).resolve_with_entry(GenerationRequest(**values, **again))
    cache, steps = ModelCache("cpu"), list[tuple[int, int]]()
    loaded = cache.load(asked.entry, folder)
    assert set(cache.loaded()) == {"tiny", "four"}
    [made] = generate(loaded, asked.request, on_step=lambda step, of, _: steps.append((step, of)))
    assert steps == [(step, 4 + STEPS + 2) for step in range(1, 4 + STEPS + 2 + 1)]
    assert made.how["hires_upscaler"]["redrawn"]["steps"] == STEPS
    # By hand: what was drawn alone, drawn anew by plain diffusers, made smaller, and gone on from.
    [first] = generate(loaded, GenerationRequest(**values))
    large = plainly(folder / "four", Image.frombytes("RGB", (64, 64), first.rgb), negative_prompt=None)
    sha256, held = given(large.resize((96, 96), Image.Resampling.LANCZOS))
    sides = {"width": 96, "height": 96, "task": "image", "inputs": [{"sha256": sha256}], "strength": 0.5}
    [second] = generate(loaded, GenerationRequest(**(values | sides)), pictures=held)
    assert made.rgb == second.rgb
    assert (cache.unload("four"), loaded.upscaler, cache.loaded()) == (True, None, ("tiny",))
    assert cache.load(asked.entry, folder) is loaded
    assert loaded.upscaler is not None


def test_a_model_that_needs_room_takes_it_from_others_and_never_from_the_one_it_works_for(
    models: Path, tmp_path: Path
) -> None:
    folder = make_tiny_sd(tmp_path / "tiny").parent
    tiny, four = folder_entry(folder / "tiny"), folder_entry(models / "four")
    cache = ModelCache("cpu", budget_bytes=1)  # room for one at most
    cache.load(tiny, folder)
    cache.upscaler(four, models)
    assert cache.loaded() == ("four",)
    loaded = cache.load(tiny.model_copy(update={"upscaler": four}), folder)
    assert set(cache.loaded()) == {"tiny", "four"}
    assert loaded.upscaler is not None


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Memory runs out under as many steps as the list has numbers."""
    left: list[int] = []
    own = diffusers.UNet2DConditionModel.forward

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        if left:
            left.pop()
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return own(self, *args, **kwargs)

    monkeypatch.setattr(diffusers.UNet2DConditionModel, "forward", forward)
    return left


def test_what_runs_out_of_memory_is_made_again_one_tier_lower_and_then_says_so(models: Path, short: list[int]) -> None:
    cache, (sha256, held) = ModelCache("cpu"), given(coloured(32, 32))
    entry, request = folder_entry(models / "four"), ask(sha256, 4)
    usual = enlarged(request, held, cache.upscaler(entry, models), cache=cache)
    assert usual.how["memory"].startswith("resident")
    short.append(1)
    again = enlarged(request, held, cache.upscaler(entry, models), cache=cache)
    assert again.how["retried"] == "out of memory with resident; made again with released"
    assert (again.rgb, again.how["memory"].split(":")[0]) == (usual.rgb, "released")
    short.extend([1, 1])
    with pytest.raises(OutOfMemory) as refused:
        enlarged(request, held, cache.upscaler(entry, models), cache=cache)
    assert "32x32" in refused.value.message
    assert refused.value.hint is not None
    assert "Lanczos" in refused.value.hint
    short.clear()
    assert enlarged(request, held, cache.upscaler(entry, models), cache=cache).rgb == usual.rgb


def test_the_library_class_draws_anew_and_the_recipe_tells_by_what(models: Path, tmp_path: Path) -> None:
    folder = make_tiny_redrawer(tmp_path / "models" / "four").parent
    own = {"title": "Four", "path": "four", "pipeline": folder_entry(folder / "four").pipeline}
    catalog_toml(folder, four={**own, "num_inference_steps": STEPS, "guidance_scale": 4.0})
    service = DiffusionService(tmp_path / "out", device="cpu", models_folder=folder)
    made = service.upscale(coloured(32, 32), 4, prompt="a (red:1.2) apple", model="four")
    assert made["success"], made
    recipe = made["metadata"][0]
    request = recipe["request"]
    assert (request["model"], request["num_inference_steps"], request["guidance_scale"]) == ("four", STEPS, 4.0)
    assert (request["width"], request["scheduler"]) == (None, None)
    assert recipe["how"]["redrawn"]["noise_level"] == 20
    assert any("weights have no effect" in note for note in recipe["how"]["notes"])
    text = infotext.build(GenerationRequest.model_validate(request), recipe["seed"], recipe["how"])
    for words in (f"Steps: {STEPS}", "CFG scale: 4", "Upscaler: Four", "RNG: CPU", f"Seed: {recipe['seed']}"):
        assert words in text
