"""Which files are brought: one set of weights for each component, at the revision that the catalog names."""

import shutil
from pathlib import Path

import pytest

from app.core.errors import ModelNotInstalled, ModelRefused
from app.core.models import Presence
from app.hub.child import Wanted
from app.hub.choose import wanted_files, wanted_of_one
from app.hub.disk import on_disk, storage_folder
from app.hub.fetch import fetch
from tests.hub_server import COMMIT, Hub

SD = [
    "model_index.json", "README.md", "v1-5-pruned.safetensors", "v1-5-pruned.ckpt",
    "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/spiece.model",
    "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors", "unet/diffusion_pytorch_model.bin", "unet/model.onnx",
    "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
    "safety_checker/config.json", "safety_checker/model.safetensors", "feature_extractor/preprocessor_config.json",
    "pipeline.py", "unet/modeling.py",
]  # fmt: skip
SMALL = {name for name in SD if name.endswith((".json", ".txt", ".model"))} - {"safety_checker/config.json"}
UNET, FP16, VAE = SD[9], SD[10], SD[15]


@pytest.mark.parametrize(("variant", "weights"), [(None, {UNET, VAE}), ("fp16", {FP16, VAE}), ("bf16", {UNET, VAE})])
def test_one_set_of_weights_is_chosen_for_each_component(variant: str | None, weights: set[str]) -> None:
    assert set(wanted_files(SD, variant)) == SMALL | weights


def test_of_a_repository_with_one_model_come_its_configuration_and_one_set_of_weights() -> None:
    plain, half = "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"
    names = ["README.md", "config.json", plain, half, "diffusion_pytorch_model.bin", "control.py", "sub/config.json"]
    assert wanted_of_one(names, "fp16") == ["config.json", half]
    assert wanted_of_one(names) == wanted_of_one([*names[:3], *names[4:]], "fp16") == ["config.json", plain]
    adapter = ["README.md", "image_encoder.txt", "ip_adapter.bin", "ip-adapter-plus_sdxl_vit-h.safetensors"]
    beside = ["image_encoder/config.json", "image_encoder/model.safetensors"]
    assert wanted_of_one([*adapter, *beside, "image_encoder/pytorch_model.bin"]) == [adapter[3], *beside]
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    listed = ["config.json", "model.safetensors.index.json", *shards]
    assert wanted_of_one([*listed, "images/a.png"]) == listed


def test_shards_of_a_variant_come_all() -> None:
    names = ["model_index.json", "unet/a.safetensors.index.fp16.json"]
    shards = [f"unet/a.fp16-0000{i}-of-00002.safetensors" for i in (1, 2)]
    plain = [f"unet/a-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    assert set(wanted_files([*names, *shards, *plain], "fp16")) == {*names, *shards}
    assert set(wanted_files([*names, *shards, *plain], None)) == {*names, *plain}


def test_a_repository_of_one_variant_alone_says_how_to_name_it(hub: Hub, wanted: Wanted, tmp_path: Path) -> None:
    hub.folder = Path(shutil.copytree(hub.folder, tmp_path / "repository"))
    weights = hub.folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".fp16.safetensors"))
    with pytest.raises(ModelRefused, match="no plain weights of unet, only fp16 ones") as refused:
        fetch(wanted)
    assert refused.value.hint == 'List it in models/catalog.toml with variant = "fp16".'
    folder = fetch(Wanted(wanted.repository, variant="fp16"))
    assert len(list(folder.rglob("*.safetensors"))) == 3


def test_a_pinned_revision_is_the_one_that_counts(hub: Hub, wanted: Wanted) -> None:
    pinned = Wanted(wanted.repository, revision=COMMIT)
    folder = fetch(pinned)
    assert folder.name == COMMIT
    assert not (storage_folder(wanted.repository) / "refs").exists()
    assert on_disk(pinned).folder == folder
    assert on_disk(wanted).presence is Presence.PARTIAL  # nobody asked what `main` is
    other = Wanted(wanted.repository, revision="f" * 40)
    assert on_disk(other).folder is None
    with pytest.raises(ModelNotInstalled):
        fetch(other)
    assert fetch(wanted) == folder
    assert Path(on_disk(wanted).folder or "") == on_disk(pinned).folder
