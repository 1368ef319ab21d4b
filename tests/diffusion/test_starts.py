"""Pictures made from pictures: as plain diffusers makes them, and outside a mask untouched."""

import hashlib
import inspect
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image, ImageChops

from app.catalog import folder_entry, tasks_of
from app.core.errors import GenerationCancelled, UnknownInput
from app.core.schema import GenerationRequest
from app.core.settings import MachineSize
from app.core.task import Task
from app.diffusion import DiffusionService, starts
from app.diffusion import generate as generate_module
from app.diffusion.cache import ModelCache
from app.diffusion.checkpoints import pipeline_class
from app.diffusion.generate import generate, generate_batch
from app.diffusion.guidance import guidance_of, takes_negative
from app.diffusion.pipelines import LoadedModel
from app.diffusion.starts import Held
from app.families import family_of
from app.picture.fit import cover
from tests.editors import EDITORS, save_editor
from tests.families import build, save
from tests.pipelines import make_tiny_sd

SIZE = (64, 96)
COLOURS = Image.frombytes("RGB", SIZE, bytes(i * i // 7 % 256 for i in range(64 * 96 * 3)))
MASK = Image.new("L", SIZE, 0)
MASK.paste(255, (16, 16, 48, 64))
TASKS = pytest.mark.parametrize("task", [Task.IMAGE, Task.INPAINT])
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
# All of which diffusers has a class for the task.
FAMILIES_OF_BOTH = ("sd15", "sdxl", "sd3", "flux", "qwen-image", "z-image", "chroma")
PLAIN = [(name, task) for name in FAMILIES_OF_BOTH for task in (Task.IMAGE, Task.INPAINT)]
PLAIN += [("kolors", Task.IMAGE), ("lcm", Task.IMAGE), ("klein", Task.INPAINT)]
# Those that have a part of their own in it: see `app.diffusion.blend` and `app.diffusion.noised`.
BY_WORDS = ("sana", "pixart-alpha", "pixart-sigma", "lumina2", "aura-flow", "cogview3-plus", "cogview4")
EVERY = [*PLAIN, ("kolors", Task.INPAINT), ("lcm", Task.INPAINT)]
EVERY += [(name, task) for name in BY_WORDS for task in (Task.IMAGE, Task.INPAINT)]
OF_EACH = pytest.mark.parametrize(("name", "task"), EVERY)


def png_of(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


PICTURES = Held({hashlib.sha256(png_of(picture)).hexdigest(): png_of(picture) for picture in (COLOURS, MASK)})
START, ITS_MASK = PICTURES


def ask(task: Task = Task.IMAGE, **fields: Any) -> GenerationRequest:
    inputs = [{"role": "image", "sha256": START}, {"role": "mask", "sha256": ITS_MASK}]
    values = {
        "prompt": "a red apple", "model": "x", "num_inference_steps": 4, "guidance_scale": 4.0, "width": SIZE[0],
        "height": SIZE[1], "seed": 7, "scheduler": "default", "task": task, "strength": 0.6,
        "inputs": inputs if task is Task.INPAINT else inputs[:1],
    }  # fmt: skip
    return GenerationRequest.model_validate(values | fields)


def distance(rgb: bytes, other: bytes = COLOURS.tobytes()) -> float:
    """How far a picture is from another, or the one to start from, of 255."""
    return sum(abs(a - b) for a, b in zip(rgb, other, strict=True)) / len(rgb)


def draw(loaded: LoadedModel, request: GenerationRequest, **more: Any) -> list[bytes]:
    return [picture.rgb for picture in generate(loaded, request, pictures=PICTURES, **more)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("families")

    def of(name: str) -> Path:
        if (root / name).exists():
            return root / name
        return (save_editor if name in EDITORS else save)(name, root / name)

    return of


@pytest.fixture(scope="module")
def loaded_of(folder: Callable[[str], Path]) -> Callable[[str], LoadedModel]:
    cache = ModelCache("cpu")
    return lambda name: cache.load(folder_entry(folder(name)), Path("/"))


@pytest.fixture(scope="module")
def loaded(loaded_of: Callable[[str], LoadedModel]) -> LoadedModel:
    return loaded_of("sd15")


@pytest.mark.parametrize(("name", "task"), PLAIN)
def test_it_is_pixel_equal_to_the_plain_diffusers_call(
    name: str, task: Task, folder: Callable[[str], Path], loaded_of: Callable[[str], LoadedModel]
) -> None:
    family = family_of(folder_entry(folder(name)).pipeline)
    text = pipeline_class(family.pipeline).from_pretrained(folder(name))
    pipe = getattr(diffusers, family.tasks[task]).from_pipe(text)
    pipe.set_progress_bar_config(disable=True)
    guidance, more = guidance_of(text), {"mask_image": MASK} if task is Task.INPAINT else {}
    sides = {"width": SIZE[0], "height": SIZE[1]}
    more |= {side: pixels for side, pixels in sides.items() if side in inspect.signature(pipe.__call__).parameters}
    negative = "blurry" if takes_negative(text, 4.0) else ""
    more |= {guidance.parameter: 4.0} | ({"negative_prompt": negative} if negative else {})
    wanted = pipe("a red apple", image=COLOURS, strength=0.6, num_inference_steps=4,
                  generator=torch.Generator("cpu").manual_seed(7), **more).images[0]  # fmt: skip
    if task is Task.INPAINT:
        wanted = Image.composite(wanted, COLOURS, MASK)
    [picture] = generate(loaded_of(name), ask(task, negative_prompt=negative), pictures=PICTURES)
    assert picture.rgb == wanted.tobytes()
    assert (picture.how["pipeline"], picture.how["notes"]) == (family.tasks[task], [])


@OF_EACH
def test_image_i_of_a_batch_equals_its_single(
    name: str, task: Task, loaded_of: Callable[[str], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = loaded_of(name)
    alone = [draw(loaded, ask(task, seed=7 + i))[0] for i in range(2)]
    assert alone[0] != alone[1]
    assert draw(loaded, ask(task, num_images=2)) == alone
    monkeypatch.setattr(generate_module, "images_in_a_pass", lambda *_: 8)
    [made] = generate_batch(loaded, [ask(task, num_images=2)], pictures=PICTURES)
    for one, other in zip(alone, made.pictures, strict=True):
        # Another batch size rounds otherwise: one of 256 levels, here and there.
        assert max(abs(a - b) for a, b in zip(one, other.rgb, strict=True)) <= 1


@OF_EACH
def test_every_tier_gives_equal_pixels_and_a_cancel_ends_any_within_a_step(
    name: str, task: Task, folder: Callable[[str], Path], loaded_of: Callable[[str], LoadedModel]
) -> None:
    [wanted] = draw(loaded_of(name), ask(task))
    for size in (MachineSize.MEDIUM, MachineSize.TINY):
        small = ModelCache("cpu", machine_size=size).load(folder_entry(folder(name)), Path("/"))
        assert steps_until_cancelled(small, ask(task, num_inference_steps=9)) == 3
        # 64x96 pixels are less than one tile, so that tiling changes nothing here.
        assert draw(small, ask(task)) == [wanted]


def steps_until_cancelled(loaded: LoadedModel, request: GenerationRequest) -> int:
    """How often the pipeline asks whether to go on, if the third answer is no."""
    asked: list[int] = []
    with pytest.raises(GenerationCancelled):
        draw(loaded, request, cancelled=lambda: bool(asked.append(1)) or len(asked) > 2)
    return len(asked)


@pytest.mark.parametrize("name", BY_WORDS)
def test_a_family_without_a_class_for_it_starts_from_the_picture_and_keeps_what_is_outside_the_mask(
    name: str, loaded_of: Callable[[str], LoadedModel]
) -> None:
    loaded = loaded_of(name)
    words = draw(loaded, ask(Task.TEXT, inputs=[], strength=None))[0]
    made = {strength: draw(loaded, ask(strength=strength))[0] for strength in (0.0, 0.3, 1.0)}
    assert made[0.0] == COLOURS.tobytes()
    assert len({*made.values(), words}) == 4
    # As the model sees the picture, whose weights are random.
    seen = draw(loaded, ask(num_inference_steps=100, strength=0.01))[0]
    near, far, nothing = (distance(rgb, seen) for rgb in (made[0.3], made[1.0], words))
    assert near < far
    assert far > 0.8 * nothing
    steps: list[tuple[int, int]] = []
    draw(loaded, ask(num_inference_steps=6, strength=0.5), on_step=lambda step, of, _: steps.append((step, of)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    [part] = draw(loaded, ask(Task.INPAINT))
    changed = ImageChops.difference(Image.frombytes("RGB", SIZE, part), COLOURS).convert("L").point(lambda v: v and 255)
    assert ImageChops.multiply(changed, ImageChops.invert(MASK)).getbbox() is None
    assert ImageChops.multiply(changed, MASK).getbbox() is not None
    [picture] = generate(loaded, ask(Task.INPAINT), pictures=PICTURES)
    assert (picture.how["pipeline"], picture.how["notes"]) == (type(loaded.pipe).__name__, [])


@TASKS
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_outside_a_mask_no_byte_changes_and_inside_it_does(loaded: LoadedModel, task: Task, strength: float) -> None:
    [rgb] = draw(loaded, ask(task, strength=strength))
    changed = ImageChops.difference(Image.frombytes("RGB", SIZE, rgb), COLOURS).convert("L").point(lambda v: v and 255)
    outside = ImageChops.multiply(changed, ImageChops.invert(MASK))
    assert (outside.getbbox() is None) == (task is Task.INPAINT)
    assert ImageChops.multiply(changed, MASK).getbbox() is not None


@TASKS
def test_strength_0_gives_the_picture_back_and_1_leaves_it_as_far_as_no_picture_would(
    loaded: LoadedModel, task: Task
) -> None:
    assert draw(loaded, ask(task, strength=0.0, num_images=2)) == [COLOURS.tobytes()] * 2
    from_nothing = draw(loaded, ask(Task.TEXT, inputs=[], strength=None))[0]
    far = distance(draw(loaded, ask(strength=1.0))[0])
    assert far > 0.8 * distance(from_nothing)


def test_another_strength_seed_or_start_is_another_picture(loaded: LoadedModel) -> None:
    first = draw(loaded, ask())
    assert draw(loaded, ask()) == first
    assert draw(loaded, ask(strength=0.9)) != first
    assert draw(loaded, ask(seed=8)) != first
    assert draw(loaded, ask(inputs=[{"sha256": ITS_MASK}])) != first


def test_progress_counts_the_steps_that_are_made_and_a_cancel_ends_it(loaded: LoadedModel) -> None:
    steps: list[tuple[int, int]] = []
    request = ask(num_inference_steps=6, strength=0.5)
    draw(loaded, request, on_step=lambda step, of, _: steps.append((step, of)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    asked: list[int] = []
    with pytest.raises(GenerationCancelled):
        draw(loaded, request, cancelled=lambda: bool(asked.append(1)) or len(asked) > 2)
    assert len(asked) == 3
    assert len(draw(loaded, request)) == 1


def test_a_picture_of_another_size_is_cut_never_stretched_and_says_so(loaded: LoadedModel) -> None:
    request = ask(width=96, height=64, strength=0.0)
    [picture] = generate(loaded, request, pictures=PICTURES)
    assert picture.how["notes"] == ["the picture to start from, 64x96, was cut to the ratio of 96x64"]
    assert picture.rgb == cover(COLOURS, 96, 64, Image.Resampling.LANCZOS).tobytes()
    [same] = generate(loaded, ask(width=128, height=192, strength=0.0), pictures=PICTURES)
    assert same.how["notes"] == []


def test_a_start_that_is_gone_fails_its_request_and_no_other(loaded: LoadedModel) -> None:
    gone = ask(inputs=[{"sha256": "0" * 64}])
    lost, fine = generate_batch(loaded, [gone, ask()], pictures=PICTURES)
    assert isinstance(lost.error, UnknownInput)
    assert "Upload it again" in str(lost.error.hint)
    assert len(fine.pictures) == 1


def test_nothing_is_loaded_twice_and_the_model_still_draws_from_words(loaded: LoadedModel) -> None:
    words = ask(Task.TEXT, inputs=[], strength=None)
    before = draw(loaded, words)
    parts = {name: id(part) for name, part in loaded.pipe.components.items()}
    draw(loaded, ask(Task.INPAINT))
    assert {name: id(part) for name, part in loaded.pipe.components.items()} == parts
    assert draw(loaded, words) == before


def test_the_library_class_takes_pictures_files_and_bytes(tmp_path: Path) -> None:
    service = DiffusionService(tmp_path / "out", device="cpu", models_folder=tmp_path)
    assert service.load_model(make_tiny_sd(tmp_path / "tiny"))[0]
    file = tmp_path / "start.png"
    COLOURS.save(file)
    values: dict[str, Any] = {"width": 64, "height": 96, "seed": 3, "num_inference_steps": 2, "strength": 0.6}
    made = [service.generate_image("a cat", image=image, **values) for image in (COLOURS, file, png_of(COLOURS))]
    assert [one["success"] for one in made] == [True] * 3, made
    assert len({one["images"][0].tobytes() for one in made}) == 1
    assert made[0]["metadata"][0]["request"]["task"] == "image"
    masked = service.generate_image("a cat", image=COLOURS, mask_image=MASK, **values)
    assert masked["images"][0].getpixel((0, 0)) == COLOURS.getpixel((0, 0))
    larger = service.upscale(COLOURS, 3)
    assert larger["images"][0].tobytes() == COLOURS.resize((192, 288), Image.Resampling.LANCZOS).tobytes()
    assert larger["metadata"][0]["request"]["model"] is None
    assert "scale" in service.upscale(COLOURS, 5)["message"]
    for wrong in ({"image": b"no picture"}, {"mask_image": MASK}, {"image": tmp_path / "none.png"}, {"image": 7}):
        refused = service.generate_image("a cat", **(values | wrong))
        assert not refused["success"]
        assert next(iter(wrong)) in refused["message"]


def test_inpainting_without_a_pipeline_for_it_is_what_diffusers_own_does(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(Task.INPAINT, scheduler="Euler")
    own = draw(loaded, request)
    monkeypatch.setattr(starts, "INPAINT_CHANNELS", ())
    [blended] = generate(loaded, request, pictures=PICTURES)
    # One of 256 levels, here and there: the two blend in another order, and one thread rounds otherwise than two.
    assert max(abs(a - b) for a, b in zip(blended.rgb, own[0], strict=True)) <= 1
    assert blended.how["pipeline"] == family_of(type(loaded.pipe).__name__).tasks[Task.IMAGE]


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_a_checkpoint_that_sees_the_mask_repaints_as_plain_diffusers_does_and_does_nothing_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = build(name, tmp_path / "work")
    text.unet = type(text.unet).from_config({**text.unet.config, "in_channels": 9})
    cls = getattr(diffusers, family_of(type(text).__name__).tasks[Task.INPAINT])
    pipe = cls(**text.components)
    pipe.save_pretrained(tmp_path / "nine")
    entry = folder_entry(tmp_path / "nine")
    assert tasks_of(entry) == (Task.INPAINT,)
    pipe.set_progress_bar_config(disable=True)
    wanted = pipe("a red apple", image=COLOURS, mask_image=MASK, width=SIZE[0], height=SIZE[1], strength=0.6,
                  num_inference_steps=4, guidance_scale=4.0,
                  generator=torch.Generator("cpu").manual_seed(7)).images[0]  # fmt: skip
    request = ask(Task.INPAINT, num_inference_steps=4)
    for size in (MachineSize.BIG, MachineSize.TINY):
        loaded = ModelCache("cpu", machine_size=size).load(entry, Path("/"))
        [picture] = generate(loaded, request, pictures=PICTURES)
        # Where a UNet's numbers lie in memory rounds them otherwise: one of 256 levels, in a byte or two.
        whole = Image.composite(wanted, COLOURS, MASK).tobytes()
        apart = [abs(a - b) for a, b in zip(picture.rgb, whole, strict=True) if a != b]
        assert len(apart) <= 20
        assert set(apart) <= {1}
        assert picture.how["pipeline"] == cls.__name__
    assert steps_until_cancelled(loaded, ask(Task.INPAINT, num_inference_steps=9)) == 3
    monkeypatch.setattr(generate_module, "images_in_a_pass", lambda *_: 8)
    [made] = generate_batch(loaded, [ask(Task.INPAINT, num_images=2)], pictures=PICTURES)
    assert max(abs(a - b) for a, b in zip(picture.rgb, made.pictures[0].rgb, strict=True)) <= 1
