"""Pictures changed by instruction: as plain diffusers changes them, with as many pictures as a model looks at."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from app.catalog import Catalog, folder_entry
from app.core.errors import GenerationCancelled, InvalidRequest
from app.core.schema import GenerationRequest
from app.core.settings import MachineSize, Settings
from app.core.task import Task
from app.diffusion import generate as generate_module
from app.diffusion.cache import ModelCache
from app.diffusion.checkpoints import pipeline_class, read_index
from app.diffusion.generate import generate, generate_batch
from app.diffusion.guidance import guidance_of
from app.diffusion.picture_words import read_pipeline
from app.diffusion.pipelines import LoadedModel
from app.families import family_of
from app.picture.fit import cover
from tests.diffusion.test_starts import COLOURS, ITS_MASK, MASK, PICTURES, START
from tests.editors import EDITORS, looking_at_little, save_editor

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
NAMES = pytest.mark.parametrize("name", EDITORS)
CHANGED = {"role": "image", "sha256": START}
BESIDE = {"role": "reference", "sha256": ITS_MASK}
SIZE = (96, 64)  # another ratio than that of the picture


@pytest.fixture(scope="module", autouse=True)
def little() -> Iterator[None]:
    with looking_at_little():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("editors")
    return lambda name: root / name if (root / name).exists() else save_editor(name, root / name)


@pytest.fixture(scope="module")
def loaded_of(folder: Callable[[str], Path]) -> Callable[[str], LoadedModel]:
    cache = ModelCache("cpu")
    return lambda name: cache.load(folder_entry(folder(name)), Path("/"))


def ask(**fields: Any) -> GenerationRequest:
    values = {
        "prompt": "make it blue", "model": "x", "num_inference_steps": 2, "guidance_scale": 4.0, "width": SIZE[0],
        "height": SIZE[1], "seed": 7, "scheduler": "default", "task": Task.EDIT, "inputs": [CHANGED],
    }  # fmt: skip
    return GenerationRequest.model_validate(values | fields)


def beside(name: str, folder: Path) -> dict[str, Any]:
    """A second picture, for a model that looks at several; it is named first, and comes second all the same."""
    return {"inputs": [BESIDE, CHANGED]} if family_of(folder_entry(folder).pipeline).references else {}


def plain(folder: Path) -> Any:
    """The pipeline as diffusers reads it, less what needs torchvision."""
    cls = pipeline_class(folder_entry(folder).pipeline)
    pipe = read_pipeline(cls, folder, read_index(folder))
    pipe.set_progress_bar_config(disable=True)
    return pipe


@NAMES
def test_it_is_pixel_equal_to_the_plain_diffusers_call(
    name: str, folder: Callable[[str], Path], loaded_of: Callable[[str], LoadedModel]
) -> None:
    pipe, fields = plain(folder(name)), beside(name, folder(name))
    guidance = guidance_of(pipe)
    more: dict[str, Any] = {guidance.parameter: 4.0, "image": COLOURS}
    if name == "pix2pix":
        more["image"] = cover(COLOURS, *SIZE, Image.Resampling.LANCZOS)
    else:
        more |= {"width": SIZE[0], "height": SIZE[1]}
    if name == "kontext":
        more["max_area"] = SIZE[0] * SIZE[1]
    if fields:
        more["image"] = [COLOURS, MASK.convert("RGB")]
    if guidance.negative:
        more["negative_prompt"] = "blurry"
    noise = torch.Generator("cpu").manual_seed(7)
    wanted = pipe(prompt="make it blue", num_inference_steps=2, generator=noise, **more)
    loaded, steps = loaded_of(name), list[tuple[int, int]]()
    request = ask(**fields, negative_prompt="blurry" if guidance.negative else "")
    [picture] = generate(loaded, request, pictures=PICTURES, on_step=lambda step, of, _: steps.append((step, of)))
    # Where a transformer's numbers lie in memory rounds them otherwise: one of 256 levels, in a byte or two.
    apart = [abs(a - b) for a, b in zip(picture.rgb, wanted.images[0].tobytes(), strict=True) if a != b]
    assert len(apart) <= 20
    assert set(apart) <= {1}
    assert (picture.width, picture.height, steps) == (*SIZE, [(1, 2), (2, 2)])
    assert bool(picture.how["notes"]) == (name == "pix2pix")  # of the cut
    other = ask(**fields, prompt="make it red", negative_prompt=request.negative_prompt)
    assert generate(loaded, other, pictures=PICTURES)[0].rgb != picture.rgb
    asked: list[int] = []
    with pytest.raises(GenerationCancelled):
        generate(
            loaded, ask(**fields, num_inference_steps=9), pictures=PICTURES,
            cancelled=lambda: bool(asked.append(1)) or len(asked) > 2,
        )  # fmt: skip
    assert len(asked) == 3
    assert generate(loaded, request, pictures=PICTURES)[0].rgb == picture.rgb


@NAMES
def test_image_i_of_a_batch_equals_its_single_and_every_tier_gives_equal_pixels(
    name: str,
    folder: Callable[[str], Path],
    loaded_of: Callable[[str], LoadedModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded, fields = loaded_of(name), beside(name, folder(name))
    alone = [generate(loaded, ask(**fields, seed=7 + i), pictures=PICTURES)[0].rgb for i in range(2)]
    assert [made.rgb for made in generate(loaded, ask(**fields, num_images=2), pictures=PICTURES)] == alone
    monkeypatch.setattr(generate_module, "images_in_a_pass", lambda *_: 8)
    [made] = generate_batch(loaded, [ask(**fields, num_images=2)], pictures=PICTURES)
    assert [picture.how["batch_size"] for picture in made.pictures] == [1 if name.startswith("qwen") else 2] * 2
    for one, other in zip(alone, made.pictures, strict=True):
        # Another batch size rounds otherwise: one of 256 levels, here and there.
        assert max(abs(a - b) for a, b in zip(one, other.rgb, strict=True)) <= 1
    there = ModelCache("cpu", machine_size=MachineSize.LITTLE).load(folder_entry(folder(name)), Path("/"))
    assert generate(there, ask(**fields), pictures=PICTURES)[0].rgb == alone[0]


def test_a_second_picture_counts_and_so_does_their_order(loaded_of: Callable[[str], LoadedModel]) -> None:
    loaded = loaded_of("qwen-edit-plus")
    changed, other = {"role": "image", "sha256": ITS_MASK}, {"role": "reference", "sha256": START}
    made = [generate(loaded, ask(inputs=inputs), pictures=PICTURES)[0].rgb
            for inputs in ([CHANGED], [CHANGED, BESIDE], [changed, other])]  # fmt: skip
    assert len(set(made)) == 3


@pytest.mark.parametrize("name", ["kontext", "flux2", "klein"])
def test_one_that_changes_pictures_draws_from_words_too(name: str, loaded_of: Callable[[str], LoadedModel]) -> None:
    [picture] = generate(loaded_of(name), ask(task=Task.TEXT, inputs=[]))
    assert (picture.width, picture.height, picture.how["notes"]) == (*SIZE, [])


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("kontext", {"inputs": [CHANGED, BESIDE]}, "inputs .* allowed is one image for the task edit of model kontext"),
        ("qwen-edit-plus", {"inputs": [CHANGED, *[BESIDE] * 3]}, "one image and at most 2 as reference"),
        ("qwen-edit-plus", {"inputs": [BESIDE]}, "one image and at most 2 as reference"),
        ("qwen-edit", {"task": "text", "inputs": []}, "task .*text.* allowed is one of: edit, upscale"),
        ("qwen-edit", {"strength": 0.5}, "strength .*0.5.* needs a picture to start from"),
    ],
)
def test_what_a_model_cannot_do_is_refused_at_once(
    name: str, fields: dict[str, Any], said: str, folder: Callable[[str], Path]
) -> None:
    catalog = Catalog(Settings(models_folder=folder(name).parent, default_model=name))
    values = {"width": 512, "height": 512, "model": name, **fields}
    with pytest.raises(InvalidRequest) as refused:
        catalog.resolve(ask(**values))
    told = " ".join(f"{error.field} {error.value} {error.allowed}" for error in refused.value.errors)
    assert re.search(said, told), told
