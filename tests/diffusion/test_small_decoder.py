"""Small decoders in the place of a model's own VAE: the same pixels as plain diffusers with them, and said so."""

from io import BytesIO
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from PIL import Image

from app.catalog import Catalog, ModelEntry, folder_entry
from app.core.errors import InvalidRequest, ModelRefused
from app.core.schema import GenerationRequest, InputRole, JobInput
from app.core.settings import MachineSize, Settings
from app.diffusion import generate as generate_module
from app.diffusion.cache import ModelCache
from app.diffusion.checkpoints import pipeline_class
from app.diffusion.generate import generate, generate_batch
from app.diffusion.pipelines import LoadedModel
from app.diffusion.small_decoder import DecodedPreviews
from app.diffusion.starts import Held
from app.families import family_of
from tests import families
from tests.pipelines import catalog_toml

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # diffusers' T5 pipelines tell of other packages


def ask(prompt: str = "a red apple", **fields: object) -> GenerationRequest:
    values = {"prompt": prompt, "num_inference_steps": 2, "guidance_scale": 4.0, "width": 64, "height": 96, "seed": 7,
              "scheduler": "default", "model": "x"}  # fmt: skip
    return GenerationRequest.model_validate(values | fields)


def small(name: str, models: Path) -> ModelEntry:
    """A model of a family that asks for a small decoder, which is there, of random weights."""
    entry = folder_entry(families.save(name, models / name)).model_copy(update={"decoder": "tiny"})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        tiny = AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8),
            num_encoder_blocks=(1, 1, 1, 1), num_decoder_blocks=(1, 1, 1, 1), latent_channels=channels(models / name),
        )  # fmt: skip
    known = family_of(entry.pipeline).small_decoder
    assert known is not None
    tiny.save_pretrained(models / "decoders" / known.name)
    return entry


def channels(folder: Path) -> int:
    return int(AutoencoderKL.load_config(folder / "vae")["latent_channels"])


def load(entry: ModelEntry, models: Path, **more: object) -> LoadedModel:
    return ModelCache("cpu", **more).load(entry, models)


@pytest.mark.parametrize("name", ["sd15", "sdxl", "sd3", "flux"])
def test_it_draws_what_plain_diffusers_draws_with_that_decoder_and_says_so(name: str, tmp_path: Path) -> None:
    entry = small(name, tmp_path)
    known = family_of(entry.pipeline).small_decoder
    assert known is not None
    pipe = pipeline_class(entry.pipeline).from_pretrained(tmp_path / name)
    pipe.set_progress_bar_config(disable=True)
    pipe.vae = AutoencoderTiny.from_pretrained(tmp_path / "decoders" / known.name)
    image = pipe("a red apple", num_inference_steps=2, width=64, height=96, guidance_scale=4.0,
                 generator=torch.Generator("cpu").manual_seed(7)).images[0]  # fmt: skip
    loaded = load(entry, tmp_path)
    own = loaded.pipe.vae
    made = generate(loaded, ask())[0]
    assert made.rgb == image.tobytes()
    assert made.how["decoder"] == f"{known.name} ({known.repository})"
    assert any("small decoder" in note for note in made.how["notes"])
    assert loaded.pipe.vae is own


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    small("sd15", folder)
    return folder


@pytest.fixture
def entry(models: Path) -> ModelEntry:
    return folder_entry(models / "sd15").model_copy(update={"decoder": "tiny"})


def test_neighbours_and_memory_tiers_leave_its_pictures_as_they_are(
    models: Path, entry: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = generate(load(entry, models), ask())[0].rgb
    for size in MachineSize:
        assert generate(load(entry, models, machine_size=size), ask())[0].rgb == wanted
    monkeypatch.setattr(generate_module, "_chunk_size", lambda *_: 4)
    made = generate_batch(load(entry, models), [ask("a cat", seed=3), ask(), ask("a dog", seed=9)])
    # Another batch size rounds otherwise: one of 256 levels, here and there.
    assert max(abs(a - b) for a, b in zip(made[1].pictures[0].rgb, wanted, strict=True)) <= 1


def test_a_picture_to_start_from_is_read_by_the_models_own_vae(models: Path, entry: ModelEntry) -> None:
    """With the strength of one step of many the small decoder shows what the VAE made of the start."""
    buffer = BytesIO()
    Image.new("RGB", (64, 64), (200, 40, 40)).save(buffer, "PNG")
    pictures = Held({"a" * 64: buffer.getvalue()})
    start = ask(
        task="image", height=64, strength=0.1, num_inference_steps=10,
        inputs=(JobInput(role=InputRole.IMAGE, sha256="a" * 64),),
    )  # fmt: skip
    loaded = load(entry, models)
    read: list[torch.Tensor] = []
    own = loaded.pipe.vae.encode
    loaded.pipe.vae.encode = lambda pixels, **more: read.append(pixels) or own(pixels, **more)
    assert loaded.decoder is not None
    encoder = loaded.decoder.decoder.encoder
    encoder.forward = lambda *_: pytest.fail("the small decoder's own encoder was asked")
    made = generate(loaded, start, pictures=pictures)[0]
    assert len(read) == 1
    assert made.how["decoder"].startswith("taesd ")


def test_previews_come_from_it_while_they_cost_next_to_nothing(models: Path, entry: ModelEntry) -> None:
    loaded = load(entry, models)
    assert loaded.previews is not None
    assert loaded.decoder is not None
    assert loaded.preview_fit is not None
    latent = torch.randn(4, 64, 64, generator=torch.Generator().manual_seed(0))
    by_matrix = loaded.preview_fit.jpeg(latent, 512, 512)
    moments = iter([0.0, 10.0, 10.1, 11.0, 20.0, 20.1])  # each decoded one takes 0.1 s
    previews = DecodedPreviews(loaded.decoder, loaded.preview_fit, now=lambda: next(moments))
    first = previews.jpeg(latent, 512, 512)
    assert first not in (None, by_matrix)
    assert Image.open(BytesIO(first or b"")).size == (256, 256)
    assert previews.jpeg(latent, 512, 512) == by_matrix  # after 0.9 s there was no time for another
    assert previews.jpeg(latent, 512, 512) == first


def test_a_missing_decoder_is_asked_for_and_a_family_without_one_refuses_it(tmp_path: Path) -> None:
    sd = {"title": "A", "path": "sd", "pipeline": "StableDiffusionPipeline", "decoder": "tiny"}
    file = catalog_toml(tmp_path, sd=sd, sana={**sd, "pipeline": "SanaPipeline"})
    catalog = Catalog(Settings(models_folder=file.parent, default_model="sd"))
    with pytest.raises(InvalidRequest, match="taesd in models/decoders: hf download madebyollin/taesd "):
        catalog.resolve(ask(model="sd"))
    with pytest.raises(InvalidRequest, match="there is no small one for Sana"):
        catalog.resolve(ask(model="sana"))


def test_a_decoder_for_other_latents_is_refused(tmp_path: Path) -> None:
    entry = small("sd15", tmp_path)
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1), latent_channels=16,
    ).save_pretrained(tmp_path / "decoders" / "taesd")  # fmt: skip
    with pytest.raises(ModelRefused, match="it reads 16 channels, and this model's latents have 4"):
        load(entry, tmp_path)
