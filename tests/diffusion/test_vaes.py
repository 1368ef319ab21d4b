"""Another VAE in the place of a model's own: read from both layouts, chosen by a request, refused by name."""

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from app.catalog import Catalog, folder_entry
from app.core.errors import InvalidRequest, ModelRefused
from app.core.picture import Picture
from app.core.schema import GenerationRequest
from app.core.settings import Settings
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from app.picture import infotext
from tests.families import save
from tests.pipelines import make_tiny_sd
from tests.single_files import save_other_vae

SIDE = 64


def ask(**fields: Any) -> GenerationRequest:
    values = {"prompt": "a red apple", "num_inference_steps": 2, "guidance_scale": 4.0, "width": SIDE, "height": SIDE,
              "seed": 7}  # fmt: skip
    return GenerationRequest.model_validate(values | fields)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and three VAEs: as a file of the training code, as a folder of diffusers, and of another kind."""
    folder = tmp_path_factory.mktemp("models")
    make_tiny_sd(folder / "tiny")
    other = save_other_vae(folder / "tiny", folder / "vae" / "other.safetensors")
    other.save_pretrained(folder / "vae" / "folder")
    other.register_to_config(scaling_factor=0.13025)
    other.save_pretrained(folder / "vae" / "scaled")
    save_file({"decoder.conv_in.weight": torch.zeros(8, 16, 3, 3)}, folder / "vae" / "sixteen.safetensors")
    save_file({"weight": torch.zeros(1)}, folder / "vae" / "strange.safetensors")
    (folder / "vae" / "cut.safetensors").write_bytes(b"\x08")
    return folder


@pytest.fixture(scope="module")
def catalog(models: Path) -> Catalog:
    return Catalog(Settings(models_folder=models, default_model="tiny"))


@pytest.fixture(scope="module")
def cache() -> ModelCache:
    return ModelCache("cpu")


def draw(catalog: Catalog, cache: ModelCache, **fields: Any) -> Picture:
    resolved = catalog.resolve_with_entry(ask(**fields))
    [picture] = generate(cache.load(resolved.entry, catalog.folder), resolved.request)
    return picture


def plain(models: Path) -> bytes:
    """As plain diffusers draws it with the other VAE."""
    vae = diffusers.AutoencoderKL.from_pretrained(models / "vae" / "folder")
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(models / "tiny", vae=vae)
    pipe.set_progress_bar_config(disable=True)
    noise = torch.Generator("cpu").manual_seed(7)
    words: dict[str, Any] = {"num_inference_steps": 2, "guidance_scale": 4.0, "width": SIDE, "height": SIDE}
    made: Image.Image = pipe("a red apple", generator=noise, **words).images[0]
    return made.tobytes()


def test_a_file_and_a_folder_stand_in_for_the_models_own_and_leave_it_as_it_was(
    models: Path, catalog: Catalog, cache: ModelCache
) -> None:
    own = draw(catalog, cache)
    by_file, by_folder = draw(catalog, cache, vae="other"), draw(catalog, cache, vae="folder")
    assert by_file.rgb == by_folder.rgb == plain(models)
    assert own.rgb != by_file.rgb
    assert (draw(catalog, cache).rgb, "vae" in own.how) == (own.rgb, False)
    said = by_file.how["vae"]
    assert (said["name"], len(said["hash"])) == ("other", 10)
    text = infotext.build(ask(vae="other"), 7, by_file.how)
    assert f"VAE hash: {said['hash']}, VAE: other" in text
    assert infotext.request_fields(infotext.parse(text))["vae"] == "other"
    assert "vae" not in infotext.request_fields(infotext.parse(text.replace("VAE: other", "VAE: None")))


def test_only_those_that_fit_are_offered_and_all_others_are_refused_by_name(
    catalog: Catalog, cache: ModelCache, tmp_path: Path
) -> None:
    entry = catalog.get("tiny")
    assert catalog.vaes(entry) == ("folder", "other", "scaled")
    with pytest.raises(ModelRefused, match="another kind"):
        draw(catalog, cache, vae="scaled")
    for name, said in (
        ("none such", "allowed is one of: folder, other, scaled"),
        ("../tiny", "allowed is one of"),
        ("sixteen", "16 channels"),
        ("strange", "is no VAE"),
        ("cut", "cut"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            catalog.resolve(ask(vae=name))
        [error] = refused.value.errors
        assert (error.field, said in error.allowed) == ("vae", True), error
    flux = folder_entry(save("flux", tmp_path / "flux"))
    assert catalog.vaes(flux) == ()
    with pytest.raises(InvalidRequest, match="allowed is none"):
        catalog.resolve_for(ask(vae="other"), flux)
