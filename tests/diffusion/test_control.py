"""Pictures held by control models: as plain diffusers draws them, and as without where nothing counts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image

from app.catalog import Catalog, ModelEntry
from app.core.control import Preprocessor
from app.core.errors import GenerationCancelled, InvalidRequest, ModelRefused
from app.core.schema import GenerationRequest
from app.core.settings import Settings
from app.core.task import Task
from app.diffusion import generate as generate_module
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate, generate_batch
from app.diffusion.pipelines import LoadedModel
from app.families import family_of
from app.picture.edges import preprocessed
from tests.controls import CONTROLS, save_control
from tests.diffusion.test_starts import COLOURS, ITS_MASK, MASK, PICTURES, SIZE, START
from tests.families import build

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@dataclass
class House:
    """A models folder with the small model of one family and two control models for it."""

    folder: Path
    cache: ModelCache
    name: str

    @property
    def catalog(self) -> Catalog:
        return Catalog(Settings(models_folder=self.folder, default_model=self.name))

    def resolve(self, **fields: Any) -> tuple[GenerationRequest, ModelEntry]:
        values = {
            "prompt": "a red apple", "model": self.name, "num_inference_steps": 4, "guidance_scale": 4.0,
            "width": SIZE[0], "height": SIZE[1], "seed": 7, "control": [unit()],
        }  # fmt: skip
        resolved = self.catalog.resolve_with_entry(GenerationRequest.model_validate(values | fields))
        return resolved.request, resolved.entry

    def load(self, **fields: Any) -> tuple[LoadedModel, GenerationRequest]:
        request, entry = self.resolve(**fields)
        return self.cache.load(entry, self.folder), request

    def draw(self, **fields: Any) -> list[bytes]:
        loaded, request = self.load(**fields)
        return [picture.rgb for picture in generate(loaded, request, pictures=PICTURES)]


def unit(model: str = "canny-edges", **fields: Any) -> dict[str, Any]:
    return {"model": model, "image": START, **fields}


def starting(task: Task) -> dict[str, Any]:
    roles = {Task.TEXT: [], Task.IMAGE: ["image"], Task.INPAINT: ["image", "mask"]}[task]
    inputs = [{"role": role, "sha256": ITS_MASK if role == "mask" else START} for role in roles]
    return {"task": task, "inputs": inputs, **({"strength": 0.6} if roles else {})}


@pytest.fixture(scope="module")
def house_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], House]:
    houses: dict[str, House] = {}

    def house(name: str) -> House:
        if name not in houses:
            root = tmp_path_factory.mktemp("house")
            pipe = build(name, root / "work")
            pipe.save_pretrained(root / "models" / name)
            for seed, key in enumerate(("canny-edges", "deep-depth")):
                save_control(name, pipe, root / "models" / key, seed)
            houses[name] = House(root / "models", ModelCache("cpu"), name)
        return houses[name]

    return house


@pytest.fixture(scope="module")
def house(house_of: Callable[[str], House]) -> House:
    return house_of("sd15")


def likeliest(self: Any, generator: Any = None, *, draw: Any = DiagonalGaussianDistribution.sample) -> Any:
    """As `control.settled` has it: without a seed nothing is drawn at random."""
    return draw(self, generator) if generator else self.mode()


def plain(house: House, task: Task, models: list[str], **arguments: Any) -> bytes:
    """What diffusers draws by itself."""
    folder = house.folder / house.name
    family = family_of(house.catalog.get(house.name).pipeline)
    cls = house.catalog.get(models[0]).pipeline
    nets = [getattr(diffusers, cls).from_pretrained(house.folder / model) for model in models]
    name = family.controls[cls][task]
    base = getattr(diffusers, family.pipeline).from_pretrained(folder)
    nets_given = nets[0] if len(nets) == 1 else nets
    pipe = getattr(diffusers, name).from_pipe(base, controlnet=nets_given)
    pipe.set_progress_bar_config(disable=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DiagonalGaussianDistribution, "sample", likeliest)
        picture: Image.Image = pipe(
            "a red apple", num_inference_steps=4, width=SIZE[0], height=SIZE[1],
            generator=torch.Generator("cpu").manual_seed(7), **arguments,
        ).images[0]  # fmt: skip
    return (Image.composite(picture, COLOURS, MASK) if task is Task.INPAINT else picture).tobytes()


def guided(house: House) -> dict[str, Any]:
    """The guidance of plain diffusers, as the family names it."""
    guidance = family_of(house.catalog.get(house.name).pipeline).guidance
    more = {"negative_prompt": guidance.empty} if guidance.empty else {}
    return {guidance.parameter: 4.0, **more}


CASES = [
    (name, task)
    for name in CONTROLS
    for task in (Task.TEXT, Task.IMAGE, Task.INPAINT)
    if name in ("sd15", "sdxl", "flux") or task is Task.TEXT
]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_it_is_pixel_equal_to_the_plain_diffusers_call(name: str, task: Task, house_of: Callable[[str], House]) -> None:
    house = house_of(name)
    hint = "image" if task is Task.TEXT and name in ("sd15", "sdxl") else "control_image"
    started = {} if task is Task.TEXT else {"image": COLOURS, "strength": 0.6}
    masked = {"mask_image": MASK} if task is Task.INPAINT else {}
    wanted = plain(
        house, task, ["canny-edges"], **{hint: preprocessed(COLOURS, Preprocessor.CANNY)}, **started, **masked,
        **guided(house), controlnet_conditioning_scale=0.8, control_guidance_start=0.0, control_guidance_end=0.5,
    )  # fmt: skip
    fields = {"control": [unit(preprocessor="canny", weight=0.8, end=0.5)], **starting(task)}
    loaded, request = house.load(**fields)
    [picture] = generate(loaded, request, pictures=PICTURES)
    if name in ("sd15", "sdxl"):
        assert picture.rgb == wanted
    # Where a transformer's numbers lie in memory rounds them otherwise: one of 256 levels, in a byte or two.
    apart = [abs(one - other) for one, other in zip(picture.rgb, wanted, strict=True) if one != other]
    assert len(apart) <= 20
    assert set(apart) <= {1}
    assert (picture.how["control"], picture.how["notes"]) == (["canny-edges"], [])
    free = house.draw(**{**fields, "control": []})
    assert [picture.rgb] != free
    assert house.draw(**{**fields, "control": [unit(weight=0.0)]}) == free


def test_several_hold_it_at_once(house: House) -> None:
    edges = preprocessed(COLOURS, Preprocessor.SOFT_EDGE)
    wanted = plain(
        house, Task.TEXT, ["canny-edges", "deep-depth"], image=[edges, COLOURS], guidance_scale=4.0,
        controlnet_conditioning_scale=[0.7, 0.4], control_guidance_start=[0.0, 0.5], control_guidance_end=[0.5, 1.0],
    )  # fmt: skip
    both = [unit(preprocessor="softedge", weight=0.7, end=0.5), unit("deep-depth", weight=0.4, start=0.5)]
    assert house.draw(control=both) == [wanted]
    assert house.draw(control=both[:1]) != [wanted]


@pytest.mark.parametrize("task", [Task.TEXT, Task.IMAGE])
def test_image_i_of_a_batch_equals_its_single(house: House, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [house.draw(**starting(task), seed=7 + i)[0] for i in range(2)]
    loaded, request = house.load(**starting(task), num_images=2)
    assert [picture.rgb for picture in generate(loaded, request, pictures=PICTURES)] == alone
    monkeypatch.setattr(generate_module, "_chunk_size", lambda *_: 8)
    [made] = generate_batch(loaded, [request], pictures=PICTURES)
    for one, other in zip(alone, made.pictures, strict=True):
        # Another batch size rounds otherwise: one of 256 levels, here and there.
        assert max(abs(a - b) for a, b in zip(one, other.rgb, strict=True)) <= 1


def test_a_control_model_is_read_once_for_all_jobs_and_the_model_not_again(house: House) -> None:
    first, _ = house.load()
    net, parts = first.controls["canny-edges"], {name: id(part) for name, part in first.pipe.components.items()}
    again, _ = house.load(seed=8, control=[unit(), unit("deep-depth")])
    assert again is first
    assert again.controls["canny-edges"] is net
    house.draw()
    assert {name: id(part) for name, part in first.pipe.components.items()} == parts
    assert set(house.cache.loaded()) == {"sd15", "canny-edges", "deep-depth"}
    assert house.cache.unload("deep-depth")
    assert house.draw() == house.draw()


def test_both_passes_of_the_hires_fix_are_held(house: House) -> None:
    fields = {"enable_hr": True, "hr_scale": 1.5, "strength": 0.5, "num_inference_steps": 2}
    held, free = house.draw(**fields), house.draw(**fields, control=[])
    assert len(held[0]) == len(free[0]) == 96 * 144 * 3
    assert held != free


def test_only_the_masked_part_is_held_by_that_part_of_the_picture(house: House) -> None:
    fields = {**starting(Task.INPAINT), "inpaint_full_res": True, "inpaint_full_res_padding": 8}
    held, free = house.draw(**fields), house.draw(**fields, control=[])
    assert held != free
    changed = Image.frombytes("RGB", SIZE, held[0])
    assert changed.getpixel((0, 0)) == COLOURS.getpixel((0, 0))


def test_a_cancel_ends_it_within_one_step(house: House) -> None:
    loaded, request = house.load()
    asked: list[int] = []
    with pytest.raises(GenerationCancelled):
        generate(loaded, request, pictures=PICTURES, cancelled=lambda: bool(asked.append(1)) or len(asked) > 2)
    assert len(asked) == 3
    assert house.draw() == house.draw()


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"control": [unit("none-such")]}, ["control.0.model", "none-such", "Known models"]),
        ({"control": [unit("sd15")]}, ["control.0.model", "sd15", "a control model"]),
        ({"control": [unit(start=0.5, end=0.5)]}, ["control.0.end", "0.5"]),
        ({"model": "canny-edges", "control": []}, ["model", "canny-edges", "`control`"]),
        ({"task": "upscale", "scale": 2, "inputs": [{"sha256": START}]}, ["control", "upscale"]),
    ],
)
def test_what_cannot_be_held_is_refused_at_once(fields: dict[str, Any], names: list[str], house: House) -> None:
    with pytest.raises(InvalidRequest) as refused:
        house.resolve(**fields)
    said = " ".join(f"{error.field} {error.value} {error.allowed}" for error in refused.value.errors)
    assert all(name in said for name in names), said


def test_a_family_without_control_and_a_model_for_another_family_are_refused(house_of: Callable[[str], House]) -> None:
    house = house_of("sd15")
    sigma = ModelEntry(key="sigma", title="Sigma", path="sigma", pipeline="PixArtSigmaPipeline")
    other = ModelEntry(key="big", title="Big", path="big", pipeline="StableDiffusionXLPipeline")
    request = GenerationRequest.model_validate({"prompt": "a cat", "width": 512, "height": 512, "control": [unit()]})
    for entry, said in ((sigma, "no control for PixArt"), (other, "it is made for Stable Diffusion, and big")):
        with pytest.raises(InvalidRequest, match=said):
            house.catalog.resolve_for(request, entry)


def test_a_control_model_of_another_width_and_one_that_is_damaged_are_refused(tmp_path: Path, house: House) -> None:
    wide = build("sd21", tmp_path / "work")
    odd = House(tmp_path, house.cache, "sd21")
    wide.save_pretrained(tmp_path / "sd21")
    (tmp_path / "canny-edges").symlink_to(house.folder / "canny-edges")
    with pytest.raises(ModelRefused, match="32 numbers wide, and this model's are 48"):
        odd.load()
    broken = house.folder / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"_class_name": "ControlNetModel"}')
    (broken / "diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelRefused, match="safetensors"):
        house.load(control=[unit("broken")])
