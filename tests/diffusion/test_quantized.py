"""A transformer in a file of its own: GGUF or safetensors, beside the folder of a base model."""

import importlib.util
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from diffusers import SD3Transformer2DModel
from safetensors.torch import load_file

from app.catalog import Catalog, ModelEntry
from app.core.errors import ModelRefused
from app.core.settings import Settings
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from app.diffusion.memory import module_bytes
from tests.diffusion.conftest import Ask
from tests.families import save
from tests.pipelines import catalog_toml

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
Q8_BLOCK = 32


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random SD3 pipeline. Read only."""
    return save("sd3", tmp_path_factory.mktemp("base") / "sd3")


def write_gguf(base: Path, file: Path, *, quantized: bool) -> Path:
    """The transformer's weights as GGUF: matrices as Q8_0 or all as they are."""
    writer = gguf.GGUFWriter(file, "sd3")
    for name, tensor in SD3Transformer2DModel.from_pretrained(base, subfolder="transformer").state_dict().items():
        values = tensor.numpy()
        if quantized and name.endswith("weight") and values.ndim == 2 and values.shape[1] % Q8_BLOCK == 0:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def entry_for(base: Path, file: Path | str) -> ModelEntry:
    return ModelEntry(key="q", title="Q", path=str(base), transformer=str(file), pipeline="StableDiffusion3Pipeline")


def pixels(entry: ModelEntry, ask: Ask) -> np.ndarray:
    [picture] = generate(ModelCache("cpu").load(entry, Path("/")), ask())
    return np.frombuffer(picture.rgb, np.uint8).astype(int)


def refusal(base: Path, file: Path) -> ModelRefused:
    with pytest.raises(ModelRefused) as refused:
        ModelCache("cpu").load(entry_for(base, file), Path("/"))
    return refused.value


def test_a_gguf_transformer_of_full_precision_makes_the_same_picture(base: Path, tmp_path: Path, ask: Ask) -> None:
    whole = pixels(entry_for(base, "").model_copy(update={"transformer": None}), ask)
    file = write_gguf(base, tmp_path / "f32.gguf", quantized=False)
    assert (pixels(entry_for(base, file), ask) == whole).all()
    assert (pixels(entry_for(base, base / WEIGHTS), ask) == whole).all()


def test_a_quantized_transformer_is_small_in_memory_and_draws_almost_the_same(
    base: Path, tmp_path: Path, ask: Ask
) -> None:
    whole = ModelCache("cpu").load(entry_for(base, base / WEIGHTS), Path("/"))
    file = write_gguf(base, tmp_path / "q8.gguf", quantized=True)
    without = Path(shutil.copytree(base, tmp_path / "base"))
    (without / WEIGHTS).unlink()  # the base needs none of its own
    entry = entry_for(without, file)
    small = ModelCache("cpu").load(entry, Path("/"))
    assert module_bytes(small.pipe) < module_bytes(whole.pipe) - 50_000
    assert small.weight_bytes == module_bytes(small.pipe)
    difference = np.abs(pixels(entry, ask) - pixels(entry_for(base, base / WEIGHTS), ask))
    assert 0 < difference.max() <= 8


def test_a_gguf_file_is_no_model_of_its_own_in_the_catalog(base: Path, tmp_path: Path) -> None:
    write_gguf(base, tmp_path / "q8.gguf", quantized=True)
    shutil.copy(base / WEIGHTS, tmp_path / "other.safetensors")
    catalog_toml(tmp_path, mine={"title": "M", "repository": "a/b", "transformer": "other.safetensors"})
    assert [entry.key for entry in Catalog(Settings(models_folder=tmp_path)).entries()] == ["mine"]


def test_without_the_package_it_is_named(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_gguf(base, tmp_path / "q8.gguf", quantized=True)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "gguf" else find(name, *more))
    error = refusal(base, file)
    assert "needs one more package" in error.message
    assert error.hint == "pip install gguf==0.19.0"


def test_a_gguf_file_that_is_cut_off_anywhere_is_refused(base: Path, tmp_path: Path) -> None:
    whole = write_gguf(base, tmp_path / "q8.gguf", quantized=True).read_bytes()
    cut = tmp_path / "cut.gguf"
    for i in range(20):
        cut.write_bytes(whole[: len(whole) * i // 20])
        assert "cut.gguf is" in (message := refusal(base, cut).message) or "could not be loaded" in message
    cut.write_bytes(whole[:20] + b"\xff" * 200)
    refusal(base, cut)
    cut.write_bytes(b"GGUF" + (9).to_bytes(4, "little") + bytes(16))
    assert "GGUF version 9" in refusal(base, cut).message


def test_a_transformer_that_does_not_fit_is_refused(base: Path, tiny_folder: Path, tmp_path: Path) -> None:
    assert "there is nothing" in refusal(base, tmp_path / "no.gguf").message
    (tmp_path / "x.ckpt").write_bytes(b"x")
    assert "neither a .gguf nor a .safetensors" in refusal(base, tmp_path / "x.ckpt").message
    assert "has no transformer" in refusal(tiny_folder, base / WEIGHTS).message
    vae = base / "vae" / "diffusion_pytorch_model.safetensors"
    assert refusal(base, vae).message
    tensors = load_file(base / WEIGHTS)
    writer = gguf.GGUFWriter(tmp_path / "part.gguf", "sd3")
    for name, tensor in list(tensors.items())[1:]:
        writer.add_tensor(name, tensor.to(torch.float32).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert refusal(base, tmp_path / "part.gguf").message
