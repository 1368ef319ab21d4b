"""Every family of models: loaded, run, cancelled, swapped and brought back by our code, in every memory tier."""

import gc
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from app.catalog import ModelEntry, folder_entry
from app.core.errors import GenerationCancelled, InvalidRequest
from app.core.samplers import all_values
from app.core.schema import GenerationRequest
from app.core.settings import MachineSize
from app.diffusion import generate as generate_module
from app.diffusion.cache import ModelCache
from app.diffusion.checkpoints import pipeline_class
from app.diffusion.generate import generate, generate_batch
from app.diffusion.guidance import guidance_of, takes_negative
from app.diffusion.pipelines import LoadedModel
from app.diffusion.samplers import is_flow, make_scheduler
from app.families import family_of
from tests.families import FAMILIES, save
from tests.pipelines import make_tiny_sd

# diffusers' T5 and GLM pipelines tell of packages that they can do without.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
Folder = Callable[[str], Path]
LoadedOf = Callable[[str], LoadedModel]


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """Each unload collects garbage; what the libraries hold need not be looked through 50 times."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The saved pipeline of a family; made once."""
    root, made = tmp_path_factory.mktemp("families"), set[str]()

    def of(name: str) -> Path:
        if name not in made:
            save(name, root / name)
            made.add(name)
        return root / name

    return of


@pytest.fixture(scope="module")
def loaded_of(folder: Folder) -> LoadedOf:
    """The loaded model of a family; loaded once."""
    cache = ModelCache("cpu")
    return lambda name: cache.load(folder_entry(folder(name)), Path("/"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    return folder_entry(make_tiny_sd(tmp_path_factory.mktemp("other") / "other"))


def ask(prompt: str = "a red apple", **fields: object) -> GenerationRequest:
    values = {"prompt": prompt, "num_inference_steps": 3, "guidance_scale": 4.0, "width": 64, "height": 96, "seed": 7,
              "scheduler": "default", "model": "x"}  # fmt: skip
    return GenerationRequest.model_validate(values | fields)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_draws_is_cancelled_is_swapped_and_draws_the_same_again(
    name: str, folder: Folder, other: ModelEntry
) -> None:
    entry = folder_entry(folder(name))
    cache = ModelCache("cpu", budget_bytes=1)  # room for one model: the next one drives it out
    loaded = cache.load(entry, Path("/"))
    steps: list[tuple[int, int]] = []
    previews: list[bytes | None] = []

    def on_step(step: int, of: int, preview: bytes | None) -> None:
        steps.append((step, of))
        previews.append(preview)

    [first] = generate(loaded, ask(), on_step=on_step, wants_preview=lambda: True)
    assert (first.width, first.height) == (64, 96)
    assert steps == [(1, 3), (2, 3), (3, 3)]
    for preview in previews:
        with Image.open(io.BytesIO(preview or b"")) as picture:
            assert picture.size == (64, 96)
    asked: list[int] = []
    with pytest.raises(GenerationCancelled):
        generate(loaded, ask(num_inference_steps=9), cancelled=lambda: bool(asked.append(1)) or len(asked) > 3)
    assert len(asked) == 4
    assert generate(loaded, ask())[0].rgb == first.rgb
    del loaded
    generate(cache.load(other, Path("/")), ask())
    assert cache.loaded() == ("other",)
    assert generate(cache.load(entry, Path("/")), ask())[0].rgb == first.rgb
    assert first.rgb != generate(cache.load(entry, Path("/")), ask(seed=8))[0].rgb


@pytest.mark.parametrize("name", FAMILIES)
def test_every_tier_that_loses_nothing_gives_equal_pixels(name: str, folder: Folder) -> None:
    entry = folder_entry(folder(name))
    pixels = {}
    for size in MachineSize:
        loaded = ModelCache("cpu", machine_size=size).load(entry, Path("/"))
        pixels[size] = generate(loaded, ask(negative_prompt="blurry"))[0].rgb
    assert pixels[MachineSize.MEDIUM] == pixels[MachineSize.BIG]
    assert pixels[MachineSize.LITTLE] == pixels[MachineSize.BIG]
    # 64x96 pixels are less than one tile, so that tiling changes nothing here.
    assert pixels[MachineSize.TINY] == pixels[MachineSize.BIG]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_pixel_equal_to_the_plain_diffusers_call(name: str, folder: Folder, loaded_of: LoadedOf) -> None:
    pipe = pipeline_class(folder_entry(folder(name)).pipeline).from_pretrained(folder(name))
    pipe.set_progress_bar_config(disable=True)
    guidance = guidance_of(pipe)
    arguments = {guidance.parameter: 4.0}
    if guidance.negative:
        arguments["negative_prompt"] = "blurry"
    if name in ("sana", "pixart-alpha", "pixart-sigma"):
        arguments["use_resolution_binning"] = False
    image = pipe("a red apple", num_inference_steps=3, width=64, height=96, **arguments,
                 generator=torch.Generator("cpu").manual_seed(7)).images[0]  # fmt: skip
    loaded = loaded_of(name)
    for _ in range(2):  # the second time with the embeddings of the first
        assert generate(loaded, ask(negative_prompt="blurry"))[0].rgb == image.tobytes()
    assert loaded.prompts.hits >= 1


@pytest.mark.parametrize("name", FAMILIES)
def test_guidance_and_negative_prompt_have_an_effect_or_the_result_says_that_they_have_none(
    name: str, loaded_of: LoadedOf
) -> None:
    loaded = loaded_of(name)
    plain, negative = (generate(loaded, ask(negative_prompt=text))[0] for text in ("", "blurry"))
    stronger = generate(loaded, ask(guidance_scale=9.0))[0]
    assert stronger.rgb != plain.rgb
    said = any("the negative prompt was not used" in note for note in negative.how["notes"])
    assert said == (name in ("flux", "lcm"))
    assert (negative.rgb == plain.rgb) == said
    assert takes_negative(loaded.pipe, 4.0) != said
    unguided = generate(loaded, ask(negative_prompt="blurry", guidance_scale=0.0))[0]
    assert any("negative prompt" in note for note in unguided.how["notes"])


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_count_or_the_result_says_that_they_do_not(name: str, loaded_of: LoadedOf) -> None:
    loaded = loaded_of(name)
    plain, weighed = (generate(loaded, ask(text))[0] for text in ("a red apple", "a (red:1.8) apple"))
    said = any("weights have no effect" in note for note in weighed.how["notes"])
    assert said == (name not in ("sd15", "sd21", "sdxl", "sdxl-turbo", "lcm"))
    assert (plain.rgb == weighed.rgb) == said
    assert not plain.how["notes"]


@pytest.mark.parametrize("name", FAMILIES)
def test_no_end_of_a_long_prompt_is_cut_in_silence(name: str, loaded_of: LoadedOf) -> None:
    loaded = loaded_of(name)
    long = "apple " * 220
    one, two = (generate(loaded, ask(long + end, guidance_scale=1.0))[0] for end in ("x", "y"))
    cut = any(note.startswith("truncated: the prompt has ") for note in one.how["notes"])
    assert cut != (one.rgb != two.rgb)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_sampler_of_another_kind_of_model_is_refused_and_the_fitting_ones_draw(
    name: str, loaded_of: LoadedOf
) -> None:
    loaded = loaded_of(name)
    pipeline = type(loaded.pipe).__name__
    samplers = family_of(pipeline).samplers
    values = all_values(samplers) if samplers else ["default", "Euler a", "Heun", "DPM++ 2M Karras", "DDIM"]
    for value in values[1:]:
        made = [generate(loaded, ask(scheduler=value))[0] for _ in range(2)]
        assert made[0].rgb == made[1].rgb
        assert made[0].how["sampler"] == value
    assert is_flow(loaded.pipe.scheduler) == (samplers is not None and name != "lcm")
    if is_flow(loaded.pipe.scheduler):
        for value in set(all_values()) - set(values):
            with pytest.raises(InvalidRequest, match="flow matching"):
                make_scheduler(loaded.pipe.scheduler, value, pipeline)


def test_v_prediction_is_kept_by_every_sampler(loaded_of: LoadedOf) -> None:
    loaded = loaded_of("sd21")
    assert loaded.pipe.scheduler.config.prediction_type == "v_prediction"
    assert generate(loaded, ask(scheduler="DPM++ 2M Karras"))[0].how["sampler"] == "DPM++ 2M Karras"


def test_turbo_starts_at_the_noisiest_step(loaded_of: LoadedOf) -> None:
    loaded = loaded_of("sdxl-turbo")
    generate(loaded, ask(num_inference_steps=1, guidance_scale=0.0))
    assert loaded.pipe.scheduler.config.timestep_spacing == "trailing"


def test_lightning_spreads_eight_steps_as_its_card_says_and_does_not_guide(loaded_of: LoadedOf) -> None:
    loaded = loaded_of("qwen-image-lightning")
    scheduler = loaded.pipe.scheduler
    scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / 8, 8).numpy(), mu=1.0986122886681098)
    # sigma' = 3 sigma / (1 + 2 sigma), a shift of 3
    assert scheduler.sigmas[:8].tolist() == pytest.approx(
        [3 * s / (1 + 2 * s) for s in torch.linspace(1, 1 / 8, 8).tolist()]
    )
    calls: list[int] = []
    forward = loaded.pipe.transformer.forward
    loaded.pipe.transformer.forward = lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs)
    generate(loaded, ask(num_inference_steps=8, guidance_scale=1.0))
    assert len(calls) == 8
    generate(loaded, ask(num_inference_steps=8, guidance_scale=4.0))
    assert len(calls) == 8 + 16


@pytest.mark.parametrize("name", FAMILIES)
def test_neighbours_in_one_pass_as_on_a_gpu_leave_a_picture_as_it_is(
    name: str, loaded_of: LoadedOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = loaded_of(name)
    requests = [ask("a cat"), ask("(a) cat and words"), ask("x" * 100, seed=3), ask("a dog", negative_prompt="b")]
    alone = [generate(loaded, request)[0].rgb for request in requests]
    monkeypatch.setattr(generate_module, "images_in_a_pass", lambda *_: 8)
    together = [made.pictures[0].rgb for made in generate_batch(loaded, requests)]
    for one, other in zip(alone, together, strict=True):
        # Another batch size rounds otherwise: one of 256 levels, here and there.
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 1
