"""A model folder that is unsafe, damaged or not ours to run is refused with its reason, before any loader opens it."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.catalog import folder_entry
from app.core.errors import ModelRefused
from app.diffusion.cache import ModelCache
from app.diffusion.checkpoints import check_folder
from app.diffusion.generate import generate_batch
from app.weights.header import read_header
from tests.diffusion.conftest import Ask

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelRefused) as refused:
        ModelCache("cpu").load(folder_entry(folder), Path("/"))
    return refused.value.message


def test_a_good_folder_passes_with_its_size(folder: Path) -> None:
    checked = check_folder(folder)
    assert checked.pipeline == "StableDiffusionPipeline"
    assert set(checked.components) == {"unet", "vae", "text_encoder"}
    assert checked.weight_bytes == sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
    assert 1_000_000 < checked.parameters < 1_200_000


def test_weights_with_flipped_bytes_end_no_process_and_make_a_picture_or_say_why(folder: Path, ask: Ask) -> None:
    whole = (folder / UNET).read_bytes()
    begin = 8 + int.from_bytes(whole[:8], "little")  # after the header: no check of ours looks at these
    for i in range(10):
        place = begin + (len(whole) - begin) * i // 10
        (folder / UNET).write_bytes(
            whole[:place] + bytes(byte ^ 0xFF for byte in whole[place : place + 64]) + whole[place + 64 :]
        )
        loaded = ModelCache("cpu").load(folder_entry(folder), Path("/"))
        [made] = generate_batch(loaded, [ask()])
        assert made.pictures or made.error.code == "generation_failed"
    (folder / UNET).write_bytes(whole[:begin] + b"\xff" * (len(whole) - begin))  # not one number among them
    [made] = generate_batch(ModelCache("cpu").load(folder_entry(folder), Path("/")), [ask()])
    assert made.error.code == "generation_failed"
    assert "NaN" in made.error.message


def test_a_pickle_that_is_named_safetensors_is_refused(folder: Path) -> None:
    (folder / UNET).write_bytes(pickle.dumps({"weight": list(range(1000))}))
    assert "is not a safetensors file" in refusal(folder)


def test_a_file_that_is_cut_off_anywhere_is_refused(folder: Path) -> None:
    whole = (folder / UNET).read_bytes()
    for i in range(20):
        (folder / UNET).write_bytes(whole[: len(whole) * i // 20])
        assert "safetensors" in refusal(folder)
    (folder / UNET).write_bytes(whole[:-1])
    assert "is damaged" in refusal(folder)
    (folder / UNET).write_bytes(whole + b"\0")
    assert "is damaged" in refusal(folder)


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b'{"a": 1}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}',
        b'{"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "data_offsets": [0, 4]}}',
    ],
)
def test_a_header_that_does_not_fit_its_tensors_is_refused(tmp_path: Path, header: bytes) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
    with pytest.raises(ModelRefused, match=r"x\.safetensors is"):
        read_header(file)


def test_a_component_with_only_a_pickle_is_refused(folder: Path) -> None:
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.bin")
    assert "is a pickle; only safetensors weights are loaded" in refusal(folder)


def test_a_pickle_beside_safetensors_is_never_opened(folder: Path, tmp_path: Path) -> None:
    class Mark:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Mark()))
    assert ModelCache("cpu").load(folder_entry(folder), Path("/"))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "name", ["evil.bin", "../vae/diffusion_pytorch_model.safetensors", "..\\x.safetensors", 3, None]
)
@pytest.mark.parametrize("part", ["unet/diffusion_pytorch_model", "text_encoder/model"])
def test_a_list_of_shards_may_only_name_safetensors_beside_it(folder: Path, part: str, name: object) -> None:
    (folder / f"{part}.safetensors").rename(folder / Path(part).parent / "decoy.safetensors")
    (folder / Path(part).parent / "evil.bin").write_bytes(pickle.dumps({"a": 1}))
    index = {"metadata": {"total_size": 1}, "weight_map": {"conv_in.weight": name} if name is not None else [1]}
    for suffix in ("json", "fp16.json"):
        file = folder / f"{part}.safetensors.index.{suffix}"
        file.write_text(json.dumps(index))
        assert "only safetensors files beside it are loaded" in refusal(folder)
        file.unlink()


def test_a_list_of_shards_of_pickles_that_nobody_opens_does_not_matter(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "x.bin"}}')
    assert ModelCache("cpu").load(folder_entry(folder), Path("/"))


def test_an_adapter_beside_the_weights_is_refused(folder: Path) -> None:
    (folder / "text_encoder" / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else"}')
    assert "brings an adapter" in refusal(folder)


def test_code_in_the_folder_is_refused(folder: Path) -> None:
    (folder / "unet" / "my_model.py").write_text("raise SystemExit")
    assert "brings code of its own (unet/my_model.py)" in refusal(folder)


@pytest.mark.parametrize("file", ["unet/config.json", "text_encoder/config.json", "tokenizer/tokenizer_config.json"])
@pytest.mark.parametrize("word", ["auto_map", "custom_pipeline"])
def test_a_configuration_that_asks_for_code_is_refused(folder: Path, file: str, word: str) -> None:
    edit(folder / file, lambda values: values.update({word: {"AutoModel": "evil--evil.Model"}}))
    assert f"{file} asks for code of its own ({word})" in refusal(folder)


@pytest.mark.parametrize(
    "name",
    ["NoSuchPipeline", "StableDiffusionImg2ImgPipeline", ["my_pipeline", "MyPipeline"], None, "DiffusionPipeline"],
)
def test_a_pipeline_class_that_is_not_text_to_image_is_refused(folder: Path, name: object) -> None:
    edit(folder / "model_index.json", lambda values: values.update(_class_name=name))
    assert "is not a text-to-image pipeline" in refusal(folder)


@pytest.mark.parametrize(
    "value",
    [
        ["os", "system"],
        ["transformers", "pipeline"],
        ["diffusers", "utils"],
        ["unet", "MyUNet"],
        ["diffusers"],
        ["a.b", "C"],
    ],
)
def test_a_component_of_another_class_is_refused(folder: Path, value: list[str]) -> None:
    edit(folder / "model_index.json", lambda values: values.update(unet=value))
    assert "component unet wants" in refusal(folder)


def test_weights_that_do_not_fit_the_configuration_are_refused(folder: Path) -> None:
    edit(folder / "unet" / "config.json", lambda values: values.update(cross_attention_dim=64))
    assert "could not be loaded" in refusal(folder)


def test_a_missing_component_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "vae")
    assert "could not be loaded" in refusal(folder)


def test_a_model_index_that_is_not_json_is_refused(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")
    assert "not readable JSON" in refusal(folder)


def test_a_safety_checker_in_the_index_is_not_loaded_and_not_missed(folder: Path) -> None:
    edit(
        folder / "model_index.json",
        lambda values: values.update(
            safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"], requires_safety_checker=True
        ),
    )
    assert ModelCache("cpu").load(folder_entry(folder), Path("/")).pipe.safety_checker is None


def test_a_pipeline_inside_a_pipeline_is_refused_and_its_pickles_too(folder: Path) -> None:
    inner = folder / "image_encoder" / "unet"
    inner.mkdir(parents=True)
    (folder / "image_encoder" / "model_index.json").write_text("{}")
    edit(
        folder / "model_index.json", lambda index: index.update(image_encoder=["diffusers", "StableDiffusionPipeline"])
    )
    assert "wants diffusers.StableDiffusionPipeline" in refusal(folder)
    edit(folder / "model_index.json", lambda index: index.pop("image_encoder"))
    check_folder(folder)
    (inner / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert "hides weights that are no safetensors" in refusal(folder)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("unet", ["transformers", "CLIPTextModel"]),
        ("text_encoder", ["diffusers", "UNet2DConditionModel"]),
        ("scheduler", ["diffusers", "AutoencoderKL"]),
        ("vae", ["diffusers", "DDIMScheduler"]),
        ("tokenizer", ["transformers", "AutoTokenizer"]),
        ("helper", ["diffusers", "AutoPipelineForText2Image"]),
        ("helper", ["transformers", "AutoModel"]),
    ],
)
def test_each_component_may_only_be_what_its_name_says(folder: Path, part: str, value: list[str]) -> None:
    edit(folder / "model_index.json", lambda index: index.update({part: value}))
    assert f"component {part} wants {value[0]}.{value[1]}" in refusal(folder)


def test_a_deep_configuration_is_refused(folder: Path) -> None:
    (folder / "unet" / "config.json").write_text('{"a":' * 100_000)
    assert "is not readable JSON" in refusal(folder)
