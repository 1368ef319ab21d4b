"""The catalog: what is offered, what a user adds, and requests that are filled in or refused with what is allowed."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.catalog import Catalog, allowed_schedulers, folder_entry
from app.catalog.tasks import OF_A_MASK, kinds_of, tasks_of
from app.core.control import ControlUnit
from app.core.errors import InvalidRequest, UnknownModel
from app.core.models import Span
from app.core.parameters import bounds
from app.core.schema import MAX_SEED, GenerationRequest, JobInput
from app.core.settings import PROJECT_FOLDER, Settings
from app.core.task import KIND_OF, ModelKind, Task
from app.families import OF_TOKENS, family_of

SHIPPED_KEYS = [
    "pocket", "pocket-upscaler", "sdxl-turbo", "stable-diffusion-v1-5", "stable-diffusion-2-1",
    "stable-diffusion-xl-base", "qwen-image",
    "qwen-image-lightning", "z-image-turbo", "flux-1-schnell", "stable-diffusion-3-5-medium", "sana-1600m",
    "flux-2-klein-4b", "flux-2-dev", "flux-1-kontext-dev", "qwen-image-edit-2509", "instruct-pix2pix",
    "janus-pro-1b", "janus-pro-7b", "pocket-captioner", "blip", "qwen2-vl-2b", "siglip", "clip",
]  # fmt: skip
CONTROL_KEYS = [
    "control-sd15-canny", "control-sd15-depth", "control-sd15-openpose", "control-sd15-scribble",
    "control-sd15-softedge", "control-sd15-tile", "control-sdxl-canny", "control-sdxl-depth", "control-qwen-image",
    "t2i-sdxl-canny", "t2i-sdxl-depth", "t2i-sdxl-openpose", "ip-adapter-sd15", "ip-adapter-plus-sd15",
    "ip-adapter-plus-sdxl",
]  # fmt: skip
SEEING_KEYS = ["clip-vision-h", "depth-anything", "vitpose"]
READING_KEYS = ["pocket-upscaler", "pocket-captioner", "blip", "qwen2-vl-2b", "siglip", "clip"]
DRAWING_KEYS = [key for key in SHIPPED_KEYS if key not in READING_KEYS]


@pytest.fixture
def shipped() -> Catalog:
    return Catalog(Settings(models_folder=PROJECT_FOLDER / "models"))


def catalog_of(folder: Path, text: str = "", **settings: object) -> Catalog:
    folder.mkdir(exist_ok=True)
    (folder / "catalog.toml").write_text(text, encoding="utf-8")
    return Catalog(Settings(models_folder=folder, **settings))


def test_the_shipped_catalog_lists_the_models_of_the_documentation(shipped: Catalog) -> None:
    assert [entry.key for entry in shipped.entries() if not entry.own] == [
        *SHIPPED_KEYS, *CONTROL_KEYS, *SEEING_KEYS,
    ]  # fmt: skip


def test_a_picture_to_start_from_gets_the_steps_that_leave_a_strength_a_choice(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path / "m", '[a]\ntitle = "A"\npath = "a"\nnum_inference_steps = 2\nstart_steps = 8\n')
    start = {"task": Task.IMAGE, "inputs": [{"role": "image", "sha256": "0" * 64}], "strength": 0.2}
    assert catalog.resolve(GenerationRequest(prompt="x", model="a")).num_inference_steps == 2
    assert catalog.resolve(GenerationRequest(prompt="x", model="a", **start)).num_inference_steps == 8
    with pytest.raises(InvalidRequest, match=r"with 2 steps allowed is 0 or 0\.5 to 1"):
        catalog.resolve(GenerationRequest(prompt="x", model="a", num_inference_steps=2, **start))


@pytest.mark.parametrize(
    ("key", "kinds"),
    [("pocket", "draws edits"), ("janus-pro-7b", "draws"), ("pocket-upscaler", "upscales"),
     ("pocket-captioner", "describes finds"), ("blip", "describes"), ("siglip", "finds"),
     ("control-sd15-canny", "controls"), ("ip-adapter-sd15", "controls"), ("depth-anything", "sees")],
)  # fmt: skip
def test_a_model_says_what_it_is_for(shipped: Catalog, key: str, kinds: str) -> None:
    assert list(kinds_of(shipped.get(key))) == kinds.split()


def test_every_task_makes_a_model_something() -> None:
    assert set(KIND_OF) == set(Task)
    assert set(KIND_OF.values()) == set(ModelKind)


@pytest.mark.parametrize("key", CONTROL_KEYS)
def test_every_control_model_says_what_it_reads_and_holds_the_pictures_of_a_model_that_is_listed(
    shipped: Catalog, key: str
) -> None:
    entry = shipped.get(key)
    assert entry.control
    assert entry.licence != "unknown"
    assert (entry.parameters > 0, entry.single, tasks_of(entry)) == (True, True, (Task.CONTROL,))
    fitting = [model for model in SHIPPED_KEYS if shipped.get(model).pipeline == entry.attaches_to]
    request = GenerationRequest(prompt="a cat", model=fitting[-1], control=(ControlUnit(model=key, image="a" * 64),))
    bare = shipped.get(fitting[-1]).model_copy(update={"lora": None})
    needed = (shipped.get(entry.encoder),) if entry.encoder else ()
    assert shipped.resolve_for(request, bare).entry.controls == (entry, *needed)


def test_an_edited_catalog_counts_from_the_next_request_on(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path / "models", '[one]\ntitle = "One"\npath = "one"\n')
    assert [entry.key for entry in catalog.entries()] == ["one"]
    catalog_of(tmp_path / "models", '[one]\ntitle = "One"\npath = "one"\n[two]\ntitle = "Two"\npath = "two"\n')
    assert [entry.key for entry in catalog.entries()] == ["one", "two"]
    catalog_of(tmp_path / "models", '[two]\ntitle = "Two"\npath = "two"\n')
    assert [entry.key for entry in catalog.entries()] == ["two"]


@pytest.mark.parametrize("key", DRAWING_KEYS)
def test_every_entry_is_complete_and_its_defaults_are_inside_its_own_ranges(shipped: Catalog, key: str) -> None:
    entry = shipped.get(key)
    if entry.lora:  # which is not in the repository
        with pytest.raises(InvalidRequest, match=f"it needs {entry.lora}.safetensors in models/loras: hf download"):
            shipped.resolve(GenerationRequest(prompt="a cat", model=key))
        entry = entry.model_copy(update={"lora": None})
    asked = GenerationRequest(prompt="a cat", model=key)
    if Task.TEXT not in tasks_of(entry):
        asked = asked.model_copy(update={"task": Task.EDIT, "inputs": (JobInput(sha256="0" * 64),)})
    resolved = shipped.resolve_for(asked, entry).request
    # No other VAE is named, and there is no picture to start from, so nothing says how far to go from it.
    others = [] if family_of(entry.pipeline).tokens else list(OF_TOKENS)  # what only models of another kind take
    assert [name for name, value in resolved.model_dump().items() if value is None] == ["vae", "strength", *others]
    assert (resolved.width, resolved.num_inference_steps) == (entry.width, entry.num_inference_steps)
    assert entry.size_bytes > 0
    assert entry.licence != "unknown"
    assert entry.best_for
    assert bool(entry.repository) != bool(entry.path)
    assert entry.revision is None or (len(entry.revision) == 40 and int(entry.revision, 16))


@pytest.mark.parametrize("key", DRAWING_KEYS)
def test_the_defaults_of_every_entry_are_where_it_draws_well_and_that_is_allowed(shipped: Catalog, key: str) -> None:
    entry = shipped.get(key)
    assert entry.good
    for name, good in entry.good.items():
        allowed = shipped.ranges(entry)[name]
        assert allowed.low <= good.low <= getattr(entry, name) <= good.high <= allowed.high
    assert set(entry.good_schedulers) <= set(allowed_schedulers(entry))


def test_a_random_seed_is_drawn_at_resolve_and_never_minus_one(shipped: Catalog) -> None:
    seeds = {shipped.resolve(GenerationRequest(prompt="a cat")).seed for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < MAX_SEED for seed in seeds)
    assert shipped.resolve(GenerationRequest(prompt="a cat", seed=MAX_SEED)).seed == MAX_SEED


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"model": "dall-e"}, "model", "allowed is one of: pocket, pocket-upscaler, sdxl-turbo"),
        ({"model": "sdxl-turbo", "width": 516}, "width", "allowed is 256 to 1024 in steps of 8 for model sdxl-turbo"),
        ({"model": "sdxl-turbo", "height": 4096}, "height", "allowed is 256 to 1024"),
        ({"model": "sdxl-turbo", "num_inference_steps": 51}, "num_inference_steps", "allowed is 1 to 50"),
        ({"model": "sdxl-turbo", "guidance_scale": 10.5}, "guidance_scale", "allowed is 0 to 10"),
        ({"scheduler": "PLMS", "num_inference_steps": 3}, "num_inference_steps", "at least 4 with the sampler PLMS"),
        ({"num_images": 11}, "num_images", "allowed is 1 to 10"),
        ({"scheduler": "Euler z"}, "scheduler", "Euler a"),
    ],
)
def test_a_value_outside_is_refused_with_field_value_and_what_is_allowed(
    shipped: Catalog, fields: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        shipped.resolve(GenerationRequest(prompt="a cat", **fields))
    [error] = refused.value.errors
    assert (error.field, error.value) == (field, fields[field])
    assert words in error.allowed


def test_a_sampler_is_stored_in_one_spelling(shipped: Catalog) -> None:
    for sent, stored in [("k_euler_a", "Euler a"), ("dpm++ 2m karras", "DPM++ 2M Karras"), (None, "default")]:
        assert shipped.resolve(GenerationRequest(prompt="a", scheduler=sent)).scheduler == stored


def test_all_wrong_fields_are_named_at_once(shipped: Catalog) -> None:
    request = GenerationRequest(
        prompt="a", model="qwen-image", width=8, height=8, num_inference_steps=999, num_images=99
    )
    with pytest.raises(InvalidRequest) as refused:
        shipped.resolve(request)
    assert [error.field for error in refused.value.errors] == ["num_inference_steps", "width", "height", "num_images"]


def test_too_many_pixels_are_refused_even_if_each_side_is_allowed(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path / "m", '[a]\ntitle = "A"\npath = "a"\n', max_pixels=1024 * 1024)
    with pytest.raises(InvalidRequest, match="at most 1048576 pixels in all"):
        catalog.resolve(GenerationRequest(prompt="a", model="a", width=2048, height=1024))


def test_a_model_with_a_list_of_samplers_takes_those_and_its_default_only(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path / "m", '[a]\ntitle = "A"\npath = "a"\nschedulers = ["Euler a", "DDIM"]\n')
    for name in ("Euler a", "DDIM", "default", None):
        catalog.resolve(GenerationRequest(prompt="x", model="a", scheduler=name))
    with pytest.raises(InvalidRequest, match="allowed is one of: default, Euler a, DDIM"):
        catalog.resolve(GenerationRequest(prompt="x", model="a", scheduler="LCM"))


def test_folders_and_single_files_that_a_user_puts_there_appear_by_themselves(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    catalog = catalog_of(folder)
    assert catalog.entries() == []
    (folder / "mine").mkdir()
    (folder / "mine" / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionXLPipeline"}))
    (folder / "mine" / "unet").mkdir()
    (folder / "mine" / "unet" / "x.safetensors").write_bytes(b"12345")
    (folder / "dream.safetensors").write_bytes(b"123")
    (folder / "notes.txt").write_text("not a model")
    (folder / "generated_images").mkdir()
    (folder / ".hidden.safetensors").write_bytes(b"")
    dream, mine = catalog.entries()
    assert (dream.key, dream.path, dream.size_bytes, dream.own) == ("dream", "dream.safetensors", 3, True)
    assert (mine.key, mine.path, mine.size_bytes, mine.pipeline) == ("mine", "mine", 5, "StableDiffusionXLPipeline")
    assert (mine.width, mine.num_inference_steps) == (1024, 30)


def test_a_users_folder_cannot_take_the_key_of_a_listed_model(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    catalog = catalog_of(folder, '[mine]\ntitle = "Listed"\nrepository = "a/b"\n')
    (folder / "mine").mkdir()
    (folder / "mine" / "model_index.json").write_text("{}")
    assert [entry.title for entry in catalog.entries()] == ["Listed"]


@pytest.mark.parametrize("index", ["", "{", "[]", "{}", '{"_class_name": ["a", "b"]}'])
def test_a_folder_with_a_damaged_index_is_still_listed_and_says_why_when_it_is_loaded(
    tmp_path: Path, index: str
) -> None:
    (tmp_path / "model_index.json").write_text(index)
    assert folder_entry(tmp_path).pipeline == "StableDiffusionPipeline"


def test_an_unknown_key_is_answered_with_the_known_ones(shipped: Catalog) -> None:
    with pytest.raises(
        UnknownModel, match=r"There is no model 'x'\. Known models: pocket, pocket-upscaler, sdxl-turbo"
    ):
        shipped.get("x")


def test_a_missing_catalog_file_means_no_models(tmp_path: Path) -> None:
    assert Catalog(Settings(models_folder=tmp_path / "nowhere")).entries() == []


def test_a_span_says_what_it_allows() -> None:
    span = Span(low=64, high=512, multiple=8)
    assert span.allows(64)
    assert span.allows(512)
    assert not span.allows(60)
    assert not span.allows(65)
    assert span.words() == "allowed is 64 to 512 in steps of 8"


REAL = (float, float | None)


def test_what_is_allowed_is_told_for_every_number_and_is_what_is_refused_beyond(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path / "models", '[a]\ntitle = "A"\npath = "a"\n', max_images=7)
    ranges = catalog.ranges(catalog.get("a"))
    assert set(ranges) == set(bounds(GenerationRequest)) - set(OF_TOKENS)
    assert ranges["num_images"] == Span(low=1, high=7)
    picture, mask = {"sha256": "0" * 64}, {"role": "mask", "sha256": "1" * 64}
    needed: dict[str, dict[str, Any]] = {"strength": {"task": "image", "inputs": (picture,)}}
    needed["scale"] = {"task": "upscale", "inputs": (picture,)}
    needed |= {name: {"enable_hr": True, "strength": 1.0} for name in ranges if name.startswith("hr_")}
    needed |= {name: {"task": "inpaint", "inputs": (picture, mask)} for name in OF_A_MASK}
    for name, span in ranges.items():
        number = float(span.high) if GenerationRequest.model_fields[name].annotation in REAL else int(span.high)
        most: dict[str, Any] = {"prompt": "a", "model": "a", name: number} | needed.get(name, {})
        assert getattr(catalog.resolve(GenerationRequest(**most)), name) == span.high
        with pytest.raises((InvalidRequest, ValidationError)):
            catalog.resolve(GenerationRequest(**(most | {name: most[name] + span.multiple})))
