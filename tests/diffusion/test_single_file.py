"""Checkpoints of one file: recognised by their tensors, loaded offline, and the same pictures as from a folder."""

import json
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import accelerate
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from app.catalog import Catalog, ModelEntry, file_entry, folder_entry
from app.core.errors import ModelRefused
from app.core.schema import GenerationRequest
from app.core.settings import Settings
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from app.diffusion.service import DiffusionService
from app.diffusion.single_file import LAYOUTS, clip_tokenizer
from app.weights.header import read_header
from app.weights.kinds import Layout, kind_of
from tests.diffusion.conftest import Ask
from tests.pipelines import TEXT_WIDTH, byte_tokenizer, catalog_toml, tiny_text_encoder, tiny_vae
from tests.single_files import original_layout, save_single_file

SD1_PARAMETERS = {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480}
SD2_PARAMETERS = {"unet": 865_910_724, "vae": 83_653_863, "text_encoder": 340_387_840}
XL_PARAMETERS = SD1_PARAMETERS | {"unet": 2_567_463_684, "text_encoder_2": 694_659_840}


@pytest.fixture(scope="session")
def tiny_file(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of the tiny pipeline as one file."""
    pipe = StableDiffusionPipeline.from_pretrained(tiny_folder)
    return save_single_file(pipe, tmp_path_factory.mktemp("single") / "some name.safetensors")


@pytest.fixture(scope="session")
def tiny_xl(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusionXLPipeline:
    """A random SDXL pipeline."""
    tokenizer = byte_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        unet = UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2),
            cross_attention_dim=2 * TEXT_WIDTH + 16,
            attention_head_dim=(2, 4),
            norm_num_groups=8,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + TEXT_WIDTH + 16,
        )
        second = tiny_text_encoder(tokenizer, TEXT_WIDTH + 16).config
        second.projection_dim, second.hidden_act = TEXT_WIDTH + 16, "gelu"
        return StableDiffusionXLPipeline(
            vae=tiny_vae(),
            text_encoder=tiny_text_encoder(tokenizer),
            text_encoder_2=CLIPTextModelWithProjection(second),
            tokenizer=tokenizer,
            tokenizer_2=byte_tokenizer(),
            unet=unet,
            scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="leading"),
            add_watermarker=False,
        )


def pixels(entry: ModelEntry, folder: Path, request: GenerationRequest) -> bytes:
    [picture] = generate(ModelCache("cpu").load(entry, folder), request)
    return picture.rgb


def refusal(file: Path, config: Path | None = None) -> str:
    entry = ModelEntry(key="x", title="x", path=str(file), config=str(config) if config else None)
    with pytest.raises(ModelRefused) as refused:
        ModelCache("cpu").load(entry, Path("/"))
    return refused.value.message


def test_a_single_file_makes_the_same_picture_as_its_folder(tiny_folder: Path, tiny_file: Path, ask: Ask) -> None:
    entry = file_entry(tiny_file).model_copy(update={"config": str(tiny_folder)})
    assert pixels(entry, Path("/"), ask()) == pixels(folder_entry(tiny_folder), Path("/"), ask())


def test_an_sdxl_file_makes_the_same_picture_as_its_folder(
    tiny_xl: StableDiffusionXLPipeline, tmp_path: Path, ask: Ask
) -> None:
    tiny_xl.save_pretrained(tmp_path / "xl")
    entry = file_entry(save_single_file(tiny_xl, tmp_path / "a.safetensors"))
    assert entry.pipeline == "StableDiffusionXLPipeline"
    assert (entry.width, entry.num_inference_steps) == (1024, 30)
    entry = entry.model_copy(update={"config": "xl"})
    assert pixels(entry, tmp_path, ask()) == pixels(folder_entry(tmp_path / "xl"), tmp_path, ask())


def test_the_catalog_knows_a_file_by_its_tensors_and_its_configuration_is_no_model(
    tiny_xl: StableDiffusionXLPipeline, tiny_file: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_file, tmp_path / "sdxl.safetensors")
    save_single_file(tiny_xl, tmp_path / "v1-5.safetensors")
    save_single_file(tiny_xl, tmp_path / "listed.safetensors")
    tiny_xl.save_config(tmp_path / "settings")
    catalog_toml(tmp_path, listed={"title": "Listed", "path": "listed.safetensors", "config": "settings"})
    catalog = Catalog(Settings(models_folder=tmp_path))
    assert {entry.key: entry.pipeline for entry in catalog.entries()} == {
        "listed": "StableDiffusionPipeline",  # as the table says
        "sdxl": "StableDiffusionPipeline",
        "v1-5": "StableDiffusionXLPipeline",
    }
    (tmp_path / "sdxl.safetensors").write_bytes(b"now damaged")
    assert [entry.key for entry in catalog.entries()] == ["listed", "sdxl", "v1-5"]


def test_the_library_loads_a_file_by_its_path(tiny_folder: Path, tiny_file: Path, tmp_path: Path) -> None:
    service = DiffusionService(tmp_path, device="cpu", models_folder=tmp_path)
    done, message = service.load_model(str(tiny_file))
    # The family's own configuration is of the full-size model, so that the tiny weights do not fit it.
    assert not done
    assert message.startswith(f"{tiny_file.name} could not be loaded")


@pytest.mark.parametrize(
    ("layout", "parameters"),
    [(Layout.SD1, SD1_PARAMETERS), (Layout.SD2, SD2_PARAMETERS), (Layout.SDXL, XL_PARAMETERS)],
)
def test_the_configurations_that_come_along_are_those_of_the_real_models(
    layout: Layout, parameters: dict[str, int]
) -> None:
    made = full_size(layout)
    assert {name: module.num_parameters() for name, module in vars(made).items()} == parameters


@pytest.mark.parametrize("layout", [Layout.SD1, Layout.SDXL])
def test_every_tensor_of_a_real_models_file_finds_its_place(layout: Layout) -> None:
    made = full_size(layout)
    tensors = original_layout(made)
    assert kind_of({name: tuple(tensor.shape) for name, tensor in tensors.items()}).layout is layout
    read = {
        "unet": convert_ldm_unet_checkpoint(tensors, made.unet.config),
        "vae": convert_ldm_vae_checkpoint(tensors, made.vae.config),
        "text_encoder": convert_ldm_clip_checkpoint(tensors),
    }
    if layout is Layout.SDXL:
        read["text_encoder_2"] = convert_open_clip_checkpoint(
            made.text_encoder_2, tensors, prefix="conditioner.embedders.1.model."
        )
    for part, found in read.items():
        wanted = {
            name.removeprefix("text_model."): tensor.shape for name, tensor in vars(made)[part].state_dict().items()
        }
        assert {name.removeprefix("text_model."): tensor.shape for name, tensor in found.items()} == wanted, part


def full_size(layout: Layout) -> SimpleNamespace:
    """The models of a family as its own configuration has them, without memory for their weights."""
    folder = str(LAYOUTS / layout.value)
    with accelerate.init_empty_weights():
        made = SimpleNamespace(
            unet=UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder, subfolder="unet")),
            vae=AutoencoderKL.from_config(AutoencoderKL.load_config(folder, subfolder="vae")),
            text_encoder=CLIPTextModel(CLIPTextConfig.from_pretrained(folder, subfolder="text_encoder")),
        )
        if layout is Layout.SDXL:
            second = CLIPTextConfig.from_pretrained(folder, subfolder="text_encoder_2")
            made.text_encoder_2 = CLIPTextModelWithProjection(second)
    return made


def test_the_tokenizer_that_comes_along_is_clips() -> None:
    tokenizer = clip_tokenizer()
    assert len(tokenizer) == 49408
    # The example of CLIP's own documentation.
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer("A  PHOTO of a Cat", padding="max_length").input_ids[5:9] == [2368, 49407, 49407, 49407]
    assert clip_tokenizer("!")("cat", padding="max_length").input_ids[1:5] == [2368, 49407, 0, 0]


def test_a_v_prediction_finetune_says_so_by_an_empty_tensor(tiny_folder: Path, tmp_path: Path) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(tiny_folder)
    file = save_single_file(pipe, tmp_path / "v.safetensors", v_pred=torch.zeros(0), ztsnr=torch.zeros(0))
    entry = file_entry(file).model_copy(update={"config": str(tiny_folder)})
    scheduler = ModelCache("cpu").load(entry, Path("/")).pipe.scheduler.config
    assert (scheduler.prediction_type, scheduler.rescale_betas_zero_snr) == ("v_prediction", True)


# What cannot be loaded


def test_a_file_that_is_cut_off_anywhere_is_refused(tiny_file: Path, tmp_path: Path) -> None:
    whole, cut = tiny_file.read_bytes(), tmp_path / "cut.safetensors"
    for i in range(20):
        cut.write_bytes(whole[: len(whole) * i // 20])
        assert "cut.safetensors is" in refusal(cut)
    cut.write_bytes(whole + b"\0")
    assert "is damaged" in refusal(cut)


def test_a_pickle_is_refused_under_any_name(tmp_path: Path) -> None:
    class Mark:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    for name in ("a.safetensors", "a.ckpt", "a.bin"):
        (tmp_path / name).write_bytes(pickle.dumps(Mark()))
        assert "safetensors" in refusal(tmp_path / name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"lora_unet_mid.lora_up.weight": [4, 4]}, "is a LoRA"),
        ({"unet.mid.lora_A.weight": [4, 4]}, "is a LoRA"),
        ({"control_model.time_embed.0.weight": [4]}, "is a ControlNet"),
        ({"double_blocks.0.img_attn.norm.key_norm.scale": [4]}, "is a FLUX transformer without text encoder and VAE"),
        ({"model.diffusion_model.joint_blocks.0.context_block.adaLN_modulation.1.bias": [4]}, "Stable Diffusion 3"),
        ({"decoder.conv_in.weight": [4]}, "is a VAE alone"),
        ({"down_blocks.0.resnets.0.conv1.weight": [4]}, "is a UNet alone"),
        ({"text_model.embeddings.position_embedding.weight": [4]}, "is a text encoder alone"),
        ({"something": [4]}, "is of no known kind"),
        ({"model.diffusion_model.input_blocks.0.0.weight": [4, 9, 3, 3]}, "is an inpainting model"),
        ({"model.diffusion_model.input_blocks.0.0.weight": [4, 8, 3, 3]}, "is an editing model"),
        ({"model.diffusion_model.input_blocks.0.0.weight": [4, 7, 3, 3]}, "7 input channels"),
        ({"model.diffusion_model.input_blocks.0.0.weight": [4]}, "0 input channels"),
        ({"model.diffusion_model.input_blocks.0.0.weight": [4, 4, 3, 3]}, "is a model without its VAE"),
        ({}, "is of no known kind"),
    ],
)
def test_a_file_that_is_no_whole_model_is_refused_with_what_it_is(
    tmp_path: Path, tensors: dict[str, list[int]], words: str
) -> None:
    save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, tmp_path / "x.safetensors")
    assert words in refusal(tmp_path / "x.safetensors")


def test_an_sdxl_refiner_is_refused() -> None:
    shapes = {
        "model.diffusion_model.input_blocks.0.0.weight": (384, 4, 3, 3),
        "conditioner.embedders.0.model.positional_embedding": (77, 1280),
        "first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3),
    }
    assert kind_of(shapes).words == "an SDXL refiner, which needs a picture to start from"


@pytest.mark.parametrize(
    "part",
    [
        "first_stage_model.encoder.conv_in.bias",
        "model.diffusion_model.out.0.weight",
        "cond_stage_model.transformer.text_model.final_layer_norm.bias",
    ],
)
def test_a_file_that_lacks_one_tensor_is_refused(tiny_folder: Path, tiny_file: Path, tmp_path: Path, part: str) -> None:
    tensors = load_file(tiny_file)
    del tensors[part]
    save_file(tensors, tmp_path / "x.safetensors")
    assert "x.safetensors is not complete" in refusal(tmp_path / "x.safetensors", tiny_folder)


def test_a_file_whose_tensors_do_not_fit_the_configuration_is_refused(
    tiny_folder: Path, tiny_file: Path, tmp_path: Path
) -> None:
    config = Path(shutil.copytree(tiny_folder, tmp_path / "config"))
    values = json.loads((config / "unet" / "config.json").read_text())
    (config / "unet" / "config.json").write_text(json.dumps(values | {"cross_attention_dim": 64}))
    assert "could not be loaded" in refusal(tiny_file, config)


def test_a_configuration_with_code_or_of_another_family_is_refused(
    tiny_xl: StableDiffusionXLPipeline, tiny_folder: Path, tiny_file: Path, tmp_path: Path
) -> None:
    tiny_xl.save_config(tmp_path / "xl")
    assert "the configuration in xl is for StableDiffusionXLPipeline" in refusal(tiny_file, tmp_path / "xl")
    config = Path(shutil.copytree(tiny_folder, tmp_path / "config"))
    (config / "pipeline.py").write_text("raise SystemExit")
    assert "brings code of its own (pipeline.py)" in refusal(tiny_file, config)
    assert "has no model_index.json" in refusal(tiny_file, tmp_path / "nowhere")


def test_the_header_says_what_the_file_has(tiny_file: Path) -> None:
    header = read_header(tiny_file)
    assert header.parameters == sum(tensor.numel() for tensor in load_file(tiny_file).values())
    assert kind_of(header.shapes).layout is Layout.SD1
