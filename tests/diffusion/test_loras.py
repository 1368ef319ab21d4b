"""LoRAs by `<lora:name:weight>`: on for one job, gone after it, and refused with a reason where they do not fit."""

import hashlib
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.catalog import Catalog, ModelEntry, folder_entry
from app.core.batching import batch_key
from app.core.errors import InvalidRequest, ModelRefused
from app.core.schema import GenerationRequest
from app.core.settings import MachineSize, Settings, Tier
from app.diffusion import DiffusionService
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate, generate_batch
from app.diffusion.pipelines import LoadedModel
from app.picture.infotext import build, parse
from app.picture.png import inspect
from app.weights.loras import check_lora, lora_family, lora_files
from tests.diffusion.conftest import Ask
from tests.families import save
from tests.loras import TEXT_LAYERS, UNET_LAYERS, save_lora
from tests.pipelines import catalog_toml


@pytest.fixture(scope="module")
def models(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the small model and LoRAs of several kinds."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(tiny_folder, folder / "tiny")
    catalog_toml(folder, tiny={"title": "Tiny", "path": "tiny"})
    loras = folder / "loras"
    save_lora(loras / "ink.safetensors", seed=1)
    save_lora(loras / "styles" / "old film.safetensors", text=TEXT_LAYERS, seed=2)
    save_lora(loras / "kohya.v1.safetensors", text=TEXT_LAYERS, seed=3, kohya=True)
    save_lora(loras / "wide.safetensors", dict.fromkeys(UNET_LAYERS, (48, 48)))
    save_lora(loras / "elsewhere.safetensors", {"transformer_blocks.0.attn.to_q": (32, 32)}, part="transformer")
    save_lora(loras / "xl.safetensors", {"mid_block.attentions.0.transformer_blocks.0.attn2.to_k": (2048, 640)})
    (loras / "pickle.safetensors").write_bytes(b"\x80\x04\x95" + b"x" * 100)
    whole = (loras / "ink.safetensors").read_bytes()
    (loras / "cut.safetensors").write_bytes(whole[:-10])
    (loras / "notes.txt").write_text("no LoRA")
    return folder


@pytest.fixture(scope="module")
def tiny(models: Path) -> LoadedModel:
    return ModelCache("cpu").load(ModelEntry(key="tiny", title="Tiny", path="tiny"), models)


@pytest.mark.parametrize("name", ["ink", "old film", "kohya.v1"])
def test_a_lora_changes_the_picture_of_its_job_and_no_other(tiny: LoadedModel, ask: Ask, name: str) -> None:
    before = generate(tiny, ask())[0]
    assert "loras" not in before.how
    strong, weak, none = (generate(tiny, ask(f"a red apple<lora:{name}:{weight}>"))[0] for weight in (1, 0.3, 0))
    assert len({before.rgb, strong.rgb, weak.rgb}) == 3
    assert none.rgb == before.rgb
    assert generate(tiny, ask())[0].rgb == before.rgb
    assert generate(tiny, ask(f"a red apple<lora:{name}>"))[0].rgb == strong.rgb


def test_two_loras_and_two_weights_go_together(tiny: LoadedModel, ask: Ask) -> None:
    made = [
        generate(tiny, ask(f"a red apple{tags}"))[0].rgb
        for tags in ("<lora:ink:0.5>", "<lora:old film:0.5>", "<lora:ink:0.5><lora:old film:0.5>",
                     "<lora:old film:0.5:0>", "<lora:old film:0:0.5>", "")
    ]  # fmt: skip
    assert len(set(made)) == 6


def test_the_recipe_and_the_infotext_name_the_lora(tiny: LoadedModel, models: Path, ask: Ask) -> None:
    request = ask("a red apple <lora:ink:0.8>", num_inference_steps=1)
    [picture] = generate(tiny, request)
    data = (models / "loras" / "ink.safetensors").read_bytes()
    tensors = data[8 + int.from_bytes(data[:8], "little") :]
    wanted = hashlib.sha256(tensors).hexdigest()[:12]
    assert picture.how["loras"] == [{"name": "ink", "text_weight": 0.8, "image_weight": 0.8, "hash": wanted}]
    read = parse(build(request, 7, picture.how))
    assert read["Prompt"] == "a red apple <lora:ink:0.8>"
    assert read["Lora hashes"] == f"ink: {wanted}"


def test_the_tag_itself_is_never_read_as_words(tiny: LoadedModel, ask: Ask) -> None:
    one, two = (generate(tiny, ask(f"a{tag} red apple<lora:kohya.v1:0>"))[0].rgb for tag in ("", "<lora:ink:0>"))
    assert one == two


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wide", "is for another architecture: layer unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q "),
        ("wide", "has 32 inputs here and 48 there"),
        (
            "elsewhere",
            "is for another architecture: this model has no layer transformer.transformer_blocks.0.attn.to_q",
        ),
        ("xl", "is a LoRA for Stable Diffusion XL; this model is Stable Diffusion 1 or Stable Diffusion 2"),
        ("pickle", "is not a safetensors file"),
        ("cut", "is damaged"),
        ("nothing", "there is no LoRA 'nothing'; allowed is one of: cut, elsewhere, ink, kohya.v1"),
        ("ink:x", "'x' is not a weight; allowed is -10 to 10"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_step_is_made_and_the_model_stays_as_it_was(
    tiny: LoadedModel, ask: Ask, name: str, words: str
) -> None:
    before = generate(tiny, ask())[0].rgb
    steps: list[int] = []
    # A good one before the bad one must be taken off again too.
    request = ask(f"a red apple <lora:old film:1><lora:{name}>")
    with pytest.raises((ModelRefused, InvalidRequest)) as refused:
        generate(tiny, request, on_step=lambda step, of, preview: steps.append(step))
    assert words in refused.value.message
    assert steps == []
    assert generate(tiny, ask())[0].rgb == before
    assert tiny.loras.active == ()


def test_the_neighbours_of_a_batch_share_their_loras(tiny: LoadedModel, ask: Ask) -> None:
    requests = [ask("a cat <lora:ink:1>", seed=1), ask("<lora:ink:1> a dog", seed=2)]
    together = generate_batch(tiny, requests)
    assert [made.pictures[0].rgb for made in together] == [generate(tiny, request)[0].rgb for request in requests]
    assert batch_key(requests[0]) == batch_key(requests[1])
    others = [ask("a cat"), ask("a cat <lora:ink:0.9>"), ask("a cat <lora:kohya.v1:1>")]
    assert len({batch_key(request) for request in [requests[0], *others]}) == 4


def test_a_lora_on_a_text_encoder_is_not_mixed_up_by_the_cache_of_prompts(tiny: LoadedModel, ask: Ask) -> None:
    made = [generate(tiny, ask(f"a (red) apple{tag}"))[0].rgb for tag in ("", "<lora:kohya.v1:1>", "")]
    assert made[0] == made[2] != made[1]


def test_the_catalog_refuses_at_once_what_cannot_work(models: Path) -> None:
    catalog = Catalog(Settings(models_folder=models, default_model="tiny"))
    assert catalog.resolve(GenerationRequest(prompt="a <lora:ink:0.8>")).prompt == "a <lora:ink:0.8>"
    for tag, words in [
        ("<lora:nothing:1>", "there is no LoRA 'nothing'; allowed is one of: cut, elsewhere, ink"),
        ("<lora:xl:1>", "for Stable Diffusion XL"),
        ("<lora:pickle:1>", "not a safetensors file"),
        ("<lora:ink:much>", "'much' is not a weight"),
    ]:
        with pytest.raises(InvalidRequest) as refused:
            catalog.resolve(GenerationRequest(prompt=f"a {tag}"))
        [error] = refused.value.errors
        assert error.field == "prompt"
        assert words in error.allowed
    bare = Catalog(Settings(models_folder=models / "tiny", default_model="x"))
    with pytest.raises(InvalidRequest, match=r"none yet: put \.safetensors files into models/loras"):
        bare.resolve_for(GenerationRequest(prompt="<lora:a:1>"), ModelEntry(key="x", title="x", path="x"))


def test_the_library_class_takes_loras_too(models: Path, tmp_path: Path) -> None:
    service = DiffusionService(tmp_path, device="cpu", models_folder=models)
    fields = {"seed": 1, "num_inference_steps": 2, "width": 64, "height": 64, "model": "tiny"}
    plain, drawn = (service.generate_image(f"a cat{tag}", **fields) for tag in ("", "<lora:ink:1>"))
    assert plain["images"][0].tobytes() != drawn["images"][0].tobytes()
    text = inspect(Path(drawn["paths"][0]).read_bytes()).parameters or ""
    assert text.startswith("a cat<lora:ink:1>\n")
    assert 'Lora hashes: "ink: ' in text
    refused = service.generate_image("a cat <lora:nothing:1>", **fields)
    assert refused["error"]["code"] == "invalid_request"


def test_the_names_are_those_of_the_files(models: Path) -> None:
    assert list(lora_files(models)) == ["cut", "elsewhere", "ink", "kohya.v1", "pickle", "old film", "wide", "xl"]
    assert lora_files(models / "nowhere") == {}


def test_a_lora_says_its_family_by_its_tensors(models: Path, tmp_path: Path) -> None:
    flux = {"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": (4, 3072)}
    assert lora_family(flux) == "FLUX"
    for width, family in ((768, "Stable Diffusion 1"), (1024, "Stable Diffusion 2"), (2048, "Stable Diffusion XL")):
        name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
        assert lora_family({name: (4, width)}) == family
    shutil.copy(models / "tiny" / "vae" / "diffusion_pytorch_model.safetensors", tmp_path / "vae.safetensors")
    with pytest.raises(ModelRefused, match=r"vae\.safetensors is no LoRA"):
        check_lora(tmp_path / "vae.safetensors", "StableDiffusionPipeline")


@pytest.mark.parametrize(
    ("name", "part", "layer", "size"),
    [
        ("sdxl", "unet", "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", (32, 32)),
        ("flux", "transformer", "single_transformer_blocks.0.attn.to_q", (32, 32)),
        ("qwen-image", "transformer", "transformer_blocks.0.attn.to_q", (48, 48)),
        ("z-image", "transformer", "layers.0.attention.to_q", (32, 32)),
        ("sana", "transformer", "transformer_blocks.0.attn1.to_q", (8, 8)),
        ("sd3", "transformer", "transformer_blocks.0.attn.to_q", (32, 32)),
    ],
)
def test_other_families_take_loras(
    tmp_path: Path, ask: Ask, name: str, part: str, layer: str, size: tuple[int, int]
) -> None:
    save_lora(tmp_path / "loras" / "own.safetensors", {layer: size}, part=part)
    loaded = ModelCache("cpu").load(folder_entry(save(name, tmp_path / name)), tmp_path)
    before, drawn, after = (generate(loaded, ask(f"an apple{tag}"))[0].rgb for tag in ("", "<lora:own:1>", ""))
    assert before == after != drawn


def test_a_model_whose_pipeline_takes_none_says_so(tmp_path: Path, ask: Ask) -> None:
    save_lora(tmp_path / "loras" / "own.safetensors")
    loaded = ModelCache("cpu").load(folder_entry(save("pixart-sigma", tmp_path / "pixart")), tmp_path)
    with pytest.raises(ModelRefused, match="PixArtSigmaPipeline takes no LoRA"):
        generate(loaded, ask("an apple<lora:own:1>"))


def test_weights_come_off_the_layers_that_had_them(tiny: LoadedModel, ask: Ask) -> None:
    kinds = {type(layer).__name__ for layer in tiny.pipe.unet.modules()}
    names = set(tiny.pipe.unet.state_dict())
    generate(tiny, ask("a<lora:ink:1>"))
    assert {type(layer).__name__ for layer in tiny.pipe.unet.modules()} == kinds
    assert set(tiny.pipe.unet.state_dict()) == names == set(load_file(
        Path(tiny.loras.folder or "") / "tiny" / "unet" / "diffusion_pytorch_model.safetensors"))  # fmt: skip


def test_a_lora_draws_the_same_in_every_memory_tier_that_loses_nothing(models: Path, ask: Ask) -> None:
    entry = ModelEntry(key="tiny", title="Tiny", path="tiny")
    drawn: dict[MachineSize, list[bytes]] = {}
    for size in MachineSize:
        loaded = ModelCache("cpu", machine_size=size).load(entry, models)
        prompts = ("an apple<lora:old film:1>", "an apple", "an (apple)<lora:kohya.v1:1>")
        drawn[size] = [generate(loaded, ask(prompt))[0].rgb for prompt in prompts]
    assert len(set(drawn[MachineSize.BIG])) == 3
    assert all(pixels == drawn[MachineSize.BIG] for pixels in drawn.values())


@pytest.mark.parametrize("tier", [Tier.RELEASED, Tier.GROUP_OFFLOAD])
def test_a_lora_on_text_encoder_and_unet_is_the_same_in_each_memory_tier(
    tier: Tier, models: Path, tiny: LoadedModel, ask: Ask
) -> None:
    laid_out = ModelCache("cpu", tier=tier).load(ModelEntry(key="tiny", title="Tiny", path="tiny"), models)
    for prompt in ("a red apple<lora:old film:1>", "a red apple"):
        assert generate(laid_out, ask(prompt))[0].rgb == generate(tiny, ask(prompt))[0].rgb


def test_a_model_in_fp8_refuses_loras_and_draws_on(models: Path, ask: Ask) -> None:
    laid_out = ModelCache("cpu", tier=Tier.FP8).load(ModelEntry(key="tiny", title="Tiny", path="tiny"), models)
    before = generate(laid_out, ask())[0].rgb
    with pytest.raises(ModelRefused, match="takes no LoRA"):
        generate(laid_out, ask("a red apple<lora:ink:1>"))
    assert generate(laid_out, ask())[0].rgb == before


def test_a_tensor_of_an_unknown_kind_is_refused_and_not_passed_over(tiny: LoadedModel, models: Path, ask: Ask) -> None:
    file = save_lora(models / "loras" / "odd.safetensors")
    tensors = load_file(file) | {"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.diff": torch.zeros(1)}
    save_file(tensors, file)
    try:
        with pytest.raises(ModelRefused, match=r"has a tensor of a kind that is not used here: .*attn1.to_q.diff"):
            generate(tiny, ask("a cat <lora:odd:1>"))
    finally:
        file.unlink()
