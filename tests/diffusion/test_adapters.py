"""Pictures held by adapters: as plain diffusers draws them, in every task, and as without where nothing counts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from diffusers.callbacks import IPAdapterScaleCutoffCallback
from PIL import Image

from app.catalog import Catalog
from app.core.control import Preprocessor
from app.core.errors import GenerationCancelled, InvalidRequest, ModelRefused
from app.core.schema import GenerationRequest
from app.core.settings import MachineSize, Settings
from app.core.task import Task
from app.diffusion import generate as generate_module
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate, generate_batch
from app.diffusion.pipelines import LoadedModel
from app.families import family_of
from app.picture.edges import preprocessed
from tests.adapters import save_ip_adapter, save_t2i_adapter
from tests.controls import save_control
from tests.diffusion.test_control import House, guided, starting, unit
from tests.diffusion.test_starts import COLOURS, MASK, PICTURES, SIZE
from tests.families import build
from tests.pipelines import catalog_toml

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
HouseOf = Callable[[str], House]
OF_UNETS, OF_TRANSFORMERS = ("sd15", "sdxl"), ("sd3", "flux")
TASKS = (Task.TEXT, Task.IMAGE, Task.INPAINT)
PLAIN_CLASS = {"sd15": "StableDiffusionAdapterPipeline", "sdxl": "StableDiffusionXLAdapterPipeline"}
EDGES = preprocessed(COLOURS, Preprocessor.SOFT_EDGE)


@pytest.fixture(scope="module")
def house_of(tmp_path_factory: pytest.TempPathFactory) -> HouseOf:
    houses: dict[str, House] = {}

    def house(name: str) -> House:
        if name not in houses:
            root = tmp_path_factory.mktemp("house")
            models = root / "models"
            pipe = build(name, root / "work")
            pipe.save_pretrained(models / name)
            save_ip_adapter(name, pipe, models / "looks")
            save_ip_adapter(name, pipe, models / "parts", plus=name in OF_UNETS, seed=1)
            save_control(name, pipe, models / "net")
            if name in OF_UNETS:
                save_t2i_adapter(name, models / "lines")
                save_t2i_adapter(name, models / "deep", seed=1)
            held = {"pipeline": "IPAdapter", "attaches_to": type(pipe).__name__}
            catalog_toml(models, **{key: {"title": key, "path": key, **held} for key in ("looks", "parts")})
            houses[name] = House(models, ModelCache("cpu"), name)
        return houses[name]

    return house


def load_plainly(pipe: Any, folder: Path, keys: list[str]) -> None:
    """As the handbook of diffusers has it, but for what looks: of the same files, without torchvision."""
    encoder = folder / keys[0] / "image_encoder"
    siglip = "Siglip" in (encoder / "config.json").read_text()
    cls = transformers.SiglipVisionModel if siglip else transformers.CLIPVisionModelWithProjection
    looks = (
        transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32})
        if siglip
        else transformers.CLIPImageProcessorPil(size=32, crop_size=32)
    )
    pipe.register_modules(image_encoder=cls.from_pretrained(encoder), feature_extractor=looks)
    one = len(keys) == 1
    places, names = list(keys), ["ip-adapter.safetensors"] * len(keys)
    pipe.load_ip_adapter(
        str(folder), subfolder=places[0] if one else places, weight_name=names[0] if one else names
    )  # fmt: skip


def plain(house: House, task: Task, keys: list[str], scales: Any = 1.0, **arguments: Any) -> bytes:
    """What diffusers draws by itself: with T2I-Adapters by its class for them, with IP-Adapters in its own."""
    family = family_of(house.catalog.get(house.name).pipeline)
    pipe = getattr(diffusers, family.pipeline).from_pretrained(house.folder / house.name)
    if (house.folder / keys[0] / "config.json").exists():
        adapters = [diffusers.T2IAdapter.from_pretrained(house.folder / key) for key in keys]
        cls = getattr(diffusers, PLAIN_CLASS[house.name])
        parts = {name: part for name, part in pipe.components.items() if name != "image_encoder"}
        more = {"requires_safety_checker": False} if house.name == "sd15" else {}
        pipe = cls(**parts, **more, adapter=adapters[0] if len(adapters) == 1 else diffusers.MultiAdapter(adapters))
        arguments["adapter_conditioning_scale"] = scales
    else:
        pipe = getattr(diffusers, family.tasks[task]).from_pipe(pipe)
        load_plainly(pipe, house.folder, keys)
        pipe.set_ip_adapter_scale(scales)
    pipe.set_progress_bar_config(disable=True)
    # Its pipelines from pictures have no size of their own in every family.
    size = {} if task is Task.IMAGE and house.name in OF_UNETS else {"width": SIZE[0], "height": SIZE[1]}
    picture: Image.Image = pipe(
        "a red apple", num_inference_steps=4, generator=torch.Generator("cpu").manual_seed(7),
        **size, **arguments, **guided(house),
    ).images[0]  # fmt: skip
    return (Image.composite(picture, COLOURS, MASK) if task is Task.INPAINT else picture).tobytes()


def denoiser_of(loaded: LoadedModel) -> Any:
    return getattr(loaded.pipe, "unet", None) or loaded.pipe.transformer


def near(one: bytes, other: bytes) -> None:
    """The same, but for what another place in memory, or another order, rounds otherwise: one of 256 levels, in a byte
    or two."""
    apart = [abs(a - b) for a, b in zip(one, other, strict=True) if a != b]
    assert len(apart) <= 20
    assert set(apart) <= {1}


def drawn_by(loaded: LoadedModel, request: GenerationRequest, **more: Any) -> list[bytes]:
    return [picture.rgb for picture in generate(loaded, request, pictures=PICTURES, **more)]


def hold_to_the_promises(
    loaded: LoadedModel, request: GenerationRequest, drawn: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancel ends it within a step and leaves nothing behind; image i of a batch is that of its seed alone."""
    asked: list[int] = []
    with pytest.raises(GenerationCancelled):
        drawn_by(loaded, request, cancelled=lambda: bool(asked.append(1)) or len(asked) > 2)
    assert len(asked) == 3
    [second] = drawn_by(loaded, request.model_copy(update={"seed": request.seed + 1}))
    assert second != drawn
    both = request.model_copy(update={"num_images": 2})
    assert drawn_by(loaded, both) == [drawn, second]
    with monkeypatch.context() as patch:
        patch.setattr(generate_module, "_chunk_size", lambda *_: 8)
        [made] = generate_batch(loaded, [both], pictures=PICTURES)
    for one, other in zip((drawn, second), made.pictures, strict=True):
        # Another batch size rounds otherwise: one of 256 levels, here and there.
        assert max(abs(a - b) for a, b in zip(one, other.rgb, strict=True)) <= 1


CASES = [(name, task, "looks") for name in (*OF_UNETS, *OF_TRANSFORMERS) for task in TASKS]


@pytest.mark.parametrize(("name", "task", "key"), [*CASES, ("sd15", Task.TEXT, "parts")])
def test_an_ip_adapter_draws_as_plain_diffusers_and_leaves_no_trace(
    name: str, task: Task, key: str, house_of: HouseOf
) -> None:
    house = house_of(name)
    started = {} if task is Task.TEXT else {"image": COLOURS, "strength": 0.6}
    masked = {"mask_image": MASK} if task is Task.INPAINT else {}
    wanted = plain(house, task, [key], 0.8, ip_adapter_image=COLOURS, **started, **masked)
    fields = {"control": [unit(key, weight=0.8)], **starting(task)}
    free = house.draw(**{**fields, "control": []})
    loaded, request = house.load(**fields)
    processors = dict(denoiser_of(loaded).attn_processors)
    [picture] = generate(loaded, request, pictures=PICTURES)
    near(picture.rgb, wanted)
    assert picture.how["control"] == [key]
    assert [picture.rgb] != free
    assert (
        house.draw(**{**fields, "control": [unit(key, weight=0.0)]}) == house.draw(**{**fields, "control": []}) == free
    )
    assert denoiser_of(loaded).attn_processors == processors


@pytest.mark.parametrize("name", ["sd15", *OF_TRANSFORMERS])
def test_a_folder_with_one_says_what_it_is_and_for_which_models(name: str, house_of: HouseOf, tmp_path: Path) -> None:
    house = house_of(name)
    for key in ("looks", "lines") if name == "sd15" else ("looks",):
        (tmp_path / key).symlink_to(house.folder / key)
        [entry] = [each for each in Catalog(Settings(models_folder=tmp_path)).entries() if each.key == key]
        assert entry.pipeline == {"looks": "IPAdapter", "lines": "T2IAdapter"}[key]
        assert (entry.attaches_to, entry.refused) == (house.catalog.get(name).pipeline, None)
        assert entry.control == ("looks" if key == "looks" else None)
        assert entry.size_bytes > sum(file.stat().st_size for file in (house.folder / key).glob("*.safetensors")) - 1


@pytest.mark.parametrize("name", OF_UNETS)
def test_t2i_adapters_draw_as_the_class_of_diffusers_for_them(name: str, house_of: HouseOf) -> None:
    house, mode = house_of(name), "L" if name == "sd15" else "RGB"
    pictures = [EDGES.convert(mode), COLOURS.convert(mode)]
    units = [unit("lines", preprocessor="softedge", weight=0.7), unit("deep", weight=0.4)]
    wanted = [
        plain(house, Task.TEXT, ["lines"], 0.7, image=pictures[0]),
        plain(house, Task.TEXT, ["lines", "deep"], [0.7, 0.4], image=pictures),
    ]
    drawn = [house.draw(control=units[:count])[0] for count in (1, 2)]
    free = house.draw(control=[])
    assert len({*drawn, *free}) == 3
    for one, other in zip(drawn, wanted, strict=True):
        near(one, other)
    assert house.draw(control=[unit("lines", weight=0.0)]) == free


def test_what_counts_until_the_middle_is_taken_away_there(house_of: HouseOf) -> None:
    house = house_of("sdxl")
    early = plain(house, Task.TEXT, ["lines"], 1.0, image=COLOURS, adapter_conditioning_factor=0.5)
    near(house.draw(control=[unit("lines", end=0.5)])[0], early)
    off = IPAdapterScaleCutoffCallback(cutoff_step_ratio=None, cutoff_step_index=1)
    early = plain(house, Task.TEXT, ["looks"], 1.0, ip_adapter_image=COLOURS, callback_on_step_end=off)
    near(house.draw(control=[unit("looks", end=0.5)])[0], early)
    late = house.draw(control=[unit("looks", start=0.5)])
    assert late not in ([early], house.draw(control=[unit("looks")]), house.draw(control=[]))


def test_several_ip_adapters_look_at_pictures_of_their_own(house_of: HouseOf) -> None:
    house = house_of("sd15")
    scales = {"scales": [0.6, 0.3], "ip_adapter_image": [COLOURS, MASK.convert("RGB")]}
    wanted = plain(house, Task.TEXT, ["looks", "parts"], **scales)
    other = unit("parts", weight=0.3) | {"image": tuple(PICTURES)[1]}
    near(house.draw(control=[unit("looks", weight=0.6), other])[0], wanted)


@pytest.mark.parametrize("task", TASKS)
def test_all_kinds_hold_one_picture_at_once_in_every_task(task: Task, house_of: HouseOf) -> None:
    house = house_of("sd15")
    units = [unit("net"), unit("lines"), unit("looks")]
    drawn = [house.draw(**starting(task), control=[each for each in units if each != left]) for left in (None, *units)]
    assert len({bytes(*pictures) for pictures in drawn}) == 4


@pytest.mark.parametrize("name", [*OF_UNETS, *OF_TRANSFORMERS])
def test_all_kinds_at_once_are_as_sure_as_from_words(
    name: str, house_of: HouseOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = house_of(name)
    fields = {"control": [unit("looks"), unit("net"), *([unit("lines")] if name in OF_UNETS else [])]}
    loaded, request = house.load(**fields)
    processors = dict(denoiser_of(loaded).attn_processors)
    [picture] = generate(loaded, request, pictures=PICTURES)
    hold_to_the_promises(loaded, request, picture.rgb, monkeypatch)
    assert denoiser_of(loaded).attn_processors == processors
    assert not denoiser_of(loaded)._forward_pre_hooks
    lean = House(house.folder, ModelCache("cpu", machine_size=MachineSize.TINY), name)
    assert lean.draw(**fields) == [picture.rgb]


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("sd15", {"control": [unit("looks", preprocessor="canny")]}, "allowed is none for an IP-Adapter"),
        ("sd3", {"control": [unit("looks"), unit("parts")]}, "at most 1 IP-Adapter at once"),
        (
            "flux",
            {"control": [unit("looks"), unit("net")], **starting(Task.IMAGE)},
            "no IP-Adapter beside a ControlNet",
        ),
        ("flux", {"control": [unit("lines")]}, "There is no model 'lines'"),
    ],
)
def test_what_diffusers_cannot_do_is_refused_by_name(
    name: str, fields: dict[str, Any], words: str, house_of: HouseOf
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        house_of(name).resolve(**fields)


def test_adapters_of_another_kind_and_sizes_they_cannot_read_are_refused(house_of: HouseOf, tmp_path: Path) -> None:
    large, small = house_of("sdxl"), house_of("sd15")
    catalog_toml(
        tmp_path,
        looks={"title": "L", "path": "looks", "pipeline": "IPAdapter"},
        lines={"title": "T", "path": "lines", "pipeline": "T2IAdapter"},
    )
    (tmp_path / "sd15").symlink_to(small.folder / "sd15")
    for key in ("looks", "lines"):
        (tmp_path / key).symlink_to(large.folder / key)
    odd = House(tmp_path, small.cache, "sd15")
    with pytest.raises(ModelRefused, match="numbers wide, and this model"):
        odd.load(control=[unit("looks")])
    with pytest.raises(ModelRefused, match="made for a model of another size"):
        odd.load(control=[unit("lines")])
    with pytest.raises(InvalidRequest, match="multiples of 16"):
        large.draw(control=[unit("lines")], width=72)
