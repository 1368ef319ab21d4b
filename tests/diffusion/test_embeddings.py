"""Textual inversion embeddings by their files' names: as plain diffusers loads them, gone after the job."""

import hashlib
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import save_file

from app.catalog import ModelEntry, folder_entry
from app.core.errors import ModelRefused
from app.core.settings import Tier
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate, generate_batch
from app.diffusion.pipelines import LoadedModel
from app.picture.infotext import build, parse
from app.weights.embeddings import EMBEDDING_FOLDER, embedding_files, look_at_embedding, names_in
from app.weights.torch_zip import read_shapes
from tests.diffusion.conftest import Ask
from tests.families import save

WIDTH = 32  # of the small model's encoder


class Runs:
    """What a hostile pickle would run."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def vectors(seed: int, *sides: int) -> torch.Tensor:
    return torch.randn(*sides, generator=torch.Generator().manual_seed(seed)) * 0.1


@pytest.fixture(scope="module")
def models(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the small model and embeddings in the forms in which people share them."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(tiny_folder, folder / "tiny")
    inside = folder / EMBEDDING_FOLDER
    (inside / "more").mkdir(parents=True)
    save_file({"emb_params": vectors(1, 3, WIDTH)}, inside / "ink-style.safetensors")
    table = {"string_to_token": {"*": 265}, "string_to_param": {"*": vectors(2, 2, WIDTH)}, "name": "x", "step": 500}
    torch.save({**table, "sd_checkpoint": "a", "sd_checkpoint_name": "b"}, inside / "bad hands.pt")
    torch.save({"<x>": torch.nn.Parameter(vectors(3, WIDTH))}, inside / "more" / "glow.bin")
    save_file({"clip_l": vectors(4, 2, 32), "clip_g": vectors(5, 2, 48)}, inside / "xl.safetensors")
    save_file({"emb_params": vectors(6, 1, 768)}, inside / "large.safetensors")
    save_file({"a": vectors(7, 2, 2), "b": vectors(8, 2, 2)}, inside / "lora.safetensors")
    (inside / "cut.safetensors").write_bytes((inside / "large.safetensors").read_bytes()[:-8])
    with zipfile.ZipFile(inside / "hostile.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"x": Runs()}))
    (inside / "notes.txt").write_text("none")
    return folder


@pytest.fixture(scope="module")
def tiny(models: Path) -> LoadedModel:
    return ModelCache("cpu").load(ModelEntry(key="tiny", title="Tiny", path="tiny"), models)


@pytest.fixture(scope="module")
def plain(models: Path) -> Any:
    """Diffusers' own pipeline with the embeddings that fit, loaded its own way."""
    pipe = StableDiffusionPipeline.from_pretrained(models / "tiny", use_safetensors=True)
    pipe.set_progress_bar_config(disable=True)
    inside = models / EMBEDDING_FOLDER
    pipe.load_textual_inversion(inside, weight_name="ink-style.safetensors", token="<ink>")
    pipe.load_textual_inversion(inside, weight_name="bad hands.pt", token="<bad>")
    pipe.load_textual_inversion(inside / "more", weight_name="glow.bin", token="<glow>")
    return pipe


def drawn(pipe: Any, prompt: str, negative: str | None = None) -> bytes:
    generator = torch.Generator("cpu").manual_seed(7)
    options = {"num_inference_steps": 2, "guidance_scale": 4.0, "width": 64, "height": 64, "generator": generator}
    return bytes(pipe(prompt, negative_prompt=negative, **options).images[0].tobytes())


def test_pictures_are_those_of_plain_diffusers_and_the_next_one_is_as_before(
    tiny: LoadedModel, plain: Any, ask: Ask
) -> None:
    before = generate(tiny, ask("a lamp"))[0]
    made = generate(tiny, ask("an INK-STYLE cup, glow", negative_prompt="bad hands, blurry"))[0]
    assert made.rgb == drawn(plain, "an <ink> cup, <glow>", "<bad>, blurry")
    assert generate(tiny, ask("a lamp, glow"))[0].rgb == drawn(plain, "a lamp, <glow>")
    assert generate(tiny, ask("a lamp"))[0].rgb == before.rgb == drawn(plain, "a lamp")
    assert generate(tiny, ask("a lamp, glowing, skink-style"))[0].rgb == drawn(plain, "a lamp, glowing, skink-style")
    assert "embeddings" not in before.how
    assert [each["name"] for each in made.how["embeddings"]] == ["ink-style", "glow", "bad hands"]


def test_sdxls_two_encoders_get_a_half_each(models: Path, tmp_path: Path, ask: Ask) -> None:
    folder = save("sdxl", tmp_path / "sdxl")
    pipe = StableDiffusionXLPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    widths = pipe.text_encoder.config.hidden_size, pipe.text_encoder_2.config.hidden_size
    inside = tmp_path / EMBEDDING_FOLDER
    inside.mkdir()
    first, second = vectors(4, 2, widths[0]), vectors(5, 2, widths[1])
    save_file({"clip_l": first, "clip_g": second}, inside / "y2k.safetensors")
    shutil.copy(models / EMBEDDING_FOLDER / "ink-style.safetensors", inside)
    pipe.load_textual_inversion(first, token="<y>", text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer)
    pipe.load_textual_inversion(second, token="<y>", text_encoder=pipe.text_encoder_2, tokenizer=pipe.tokenizer_2)
    loaded = ModelCache("cpu").load(folder_entry(folder), tmp_path)
    made = generate(loaded, ask("a lamp, y2k", negative_prompt="blurry"))[0]
    assert made.rgb == drawn(pipe, "a lamp, <y>", "blurry")
    other = generate(loaded, ask("an ink-style lamp"))[0]
    assert "the embedding ink-style is for another kind of model, and was read as words" in other.how["notes"]
    assert other.rgb == drawn(pipe, "an ink-style lamp")


def test_they_count_more_or_less_and_stand_in_long_prompts(tiny: LoadedModel, ask: Ask) -> None:
    texts = ("a lamp, ink-style", "a lamp, (ink-style:1.4)", "a lamp, (glow:1.4)", "(lamp, ink-style:1.4)")
    assert len({generate(tiny, ask(text))[0].rgb for text in texts}) == len(texts)
    long = "lamp " * 90
    one, two = (generate(tiny, ask(long + end))[0].rgb for end in ("glow", "ink-style"))
    assert one != two


def test_neighbours_of_a_pass_have_their_own(tiny: LoadedModel, ask: Ask) -> None:
    requests = [ask("a lamp, glow", seed=1), ask("a lamp", seed=2), ask("an ink-style lamp", seed=3)]
    together = generate_batch(tiny, requests)
    assert [made.pictures[0].rgb for made in together] == [generate(tiny, request)[0].rgb for request in requests]
    assert [len(made.pictures[0].how.get("embeddings", ())) for made in together] == [1, 0, 1]


@pytest.mark.parametrize("tier", [Tier.RELEASED, Tier.GROUP_OFFLOAD])
def test_each_memory_tier_draws_the_same_with_them_and_after_them(
    tier: Tier, models: Path, tiny: LoadedModel, ask: Ask
) -> None:
    laid_out = ModelCache("cpu", tier=tier).load(ModelEntry(key="tiny", title="Tiny", path="tiny"), models)
    for prompt in ("a lamp, glow, ink-style", "a lamp"):
        assert generate(laid_out, ask(prompt))[0].rgb == generate(tiny, ask(prompt))[0].rgb


def test_the_recipe_and_the_infotext_name_them(tiny: LoadedModel, models: Path, ask: Ask) -> None:
    request = ask("a lamp, glow", num_inference_steps=1)
    [picture] = generate(tiny, request)
    wanted = hashlib.sha256((models / EMBEDDING_FOLDER / "more" / "glow.bin").read_bytes()).hexdigest()[:12]
    assert picture.how["embeddings"] == [{"name": "glow", "hash": wanted}]
    read = parse(build(request, 7, picture.how))
    assert (read["Prompt"], read["TI hashes"]) == ("a lamp, glow", f"glow: {wanted}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("xl", "the embedding xl is for Stable Diffusion XL, and was read as words"),
        ("lora", "the embedding lora cannot be used, and was read as words: lora.safetensors is no embedding."),
        ("cut", "cut.safetensors is damaged"),
        ("hostile", "hostile.pt is no file of torch.save that is read here"),
    ],
)
def test_one_that_cannot_be_used_is_words_and_the_picture_says_so(
    tiny: LoadedModel, ask: Ask, name: str, words: str
) -> None:
    [picture] = generate(tiny, ask(f"a lamp, {name}"))
    assert any(words in note for note in picture.how["notes"])
    assert "embeddings" not in picture.how
    assert not Path("ran").exists()


def test_one_of_another_width_is_refused_and_the_model_stays_as_it_was(tiny: LoadedModel, ask: Ask) -> None:
    before = generate(tiny, ask("a lamp"))[0].rgb
    with pytest.raises(ModelRefused, match="large has 768 numbers a vector, this model 32"):
        generate(tiny, ask("a lamp, glow, large"))
    assert generate(tiny, ask("a lamp"))[0].rgb == before


def test_files_tell_what_they_are_without_being_run(models: Path) -> None:
    files = embedding_files(models)
    looked = {name: look_at_embedding(name, file) for name, file in files.items()}
    assert {name for name, found in looked.items() if found.refused} == {"cut", "hostile", "lora"}
    assert (looked["bad hands"].vectors, looked["bad hands"].widths, looked["glow"].vectors) == (2, (WIDTH,), 1)
    assert looked["large"].family == "Stable Diffusion 1"
    assert looked["large"].fits("StableDiffusionPipeline")
    assert [looked["xl"].fits(f"{name}Pipeline") for name in ("StableDiffusionXL", "StableDiffusion", "Flux")] == [
        True, False, False,
    ]  # fmt: skip
    with pytest.raises(ModelRefused):
        read_shapes(models / EMBEDDING_FOLDER / "hostile.pt")
    assert not Path("ran").exists()


def test_a_name_is_found_as_a_word_and_the_longer_one_first() -> None:
    assert names_in("(Bad-Hands:1.2), bad", ["bad", "bad-hands"]) == ["bad-hands", "bad"]
    assert names_in("badly, abad", ["bad"]) == []
    assert names_in("墨 style", ["墨"]) == ["墨"]
    assert names_in("a cup", []) == []
