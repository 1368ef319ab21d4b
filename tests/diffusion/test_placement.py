"""Memory tiers on real pipelines: each that a CPU can run runs, and gives the pixels it says it gives."""

from pathlib import Path

import pytest
import torch

import app.diffusion.generate as generate_module
import app.diffusion.pipelines as pipelines_module
import app.diffusion.placement as placement_module
from app.catalog import ModelEntry
from app.core.errors import ModelRefused, OutOfMemory
from app.core.settings import MachineSize, Tier
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate, generate_batch
from app.diffusion.made import PassWatch
from app.diffusion.pipelines import LoadedModel
from app.tiers.choose import Room
from tests.diffusion.conftest import Ask


def load(entry: ModelEntry, **wishes: object) -> LoadedModel:
    return ModelCache("cpu", **wishes).load(entry, Path("/"))


def bytes_of(module: torch.nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.parameters())


@pytest.mark.parametrize("tier", [Tier.RESIDENT, Tier.RELEASED, Tier.GROUP_OFFLOAD])
def test_a_tier_that_loses_nothing_gives_equal_pixels(
    tier: Tier, tiny_entry: ModelEntry, loaded: LoadedModel, ask: Ask
) -> None:
    usual = generate(loaded, ask())[0]
    laid_out = load(tiny_entry, tier=tier)
    assert laid_out.plan.tier is tier
    for _ in range(2):
        made = generate(laid_out, ask())[0]
        assert made.rgb == usual.rgb
        assert made.how["memory"].startswith(f"{tier}:")
    generate(laid_out, ask("another prompt"))
    assert generate(laid_out, ask())[0].rgb == usual.rgb


def test_convolutions_in_bfloat16_lie_as_a_processor_reads_them_and_others_as_they_came(
    tiny_entry: ModelEntry, loaded: LoadedModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lie_last(model: LoadedModel) -> set[bool]:
        weights = (part.weight for part in model.pipe.unet.modules() if isinstance(part, torch.nn.Conv2d))
        return {weight.is_contiguous(memory_format=torch.channels_last) for weight in weights if weight.shape[2] > 1}

    monkeypatch.setattr(pipelines_module, "choose_dtype", lambda device, parameters: torch.bfloat16)
    half = load(tiny_entry)
    assert (lie_last(half), lie_last(loaded)) == ({True}, {False})
    assert generate(half, ask())[0].rgb == generate(half, ask())[0].rgb


def test_fp8_halves_the_denoiser_again_and_says_that_pixels_change(
    tiny_entry: ModelEntry, loaded: LoadedModel, ask: Ask
) -> None:
    laid_out = load(tiny_entry, tier=Tier.FP8)
    assert bytes_of(laid_out.pipe.unet) < bytes_of(loaded.pipe.unet) * 0.3  # of float32
    made = generate(laid_out, ask())[0]
    assert made.rgb != generate(loaded, ask())[0].rgb
    assert made.rgb == generate(laid_out, ask())[0].rgb
    assert "changes pixels slightly" in made.how["memory"]
    assert generate(load(tiny_entry, tier=Tier.FP8_OFFLOAD), ask())[0].rgb == made.rgb


def test_large_pictures_decode_in_tiles_on_a_tiny_machine(
    tiny_entry: ModelEntry, loaded: LoadedModel, ask: Ask
) -> None:
    small = load(tiny_entry, machine_size=MachineSize.TINY)
    assert generate(small, ask())[0].rgb == generate(loaded, ask())[0].rgb  # less than one tile
    wide = ask(width=256, height=128, num_inference_steps=1)
    made, usual = generate(small, wide)[0], generate(loaded, wide)[0]
    assert made.rgb != usual.rgb
    assert "VAE decodes in tiles (changes pixels slightly)" in made.how["memory"]


def test_released_text_encoders_are_in_memory_only_while_they_encode(tiny_entry: ModelEntry, ask: Ask) -> None:
    laid_out = load(tiny_entry, tier=Tier.RELEASED)
    encoder, seen = laid_out.pipe.text_encoder, []
    assert bytes_of(encoder) == 0
    encoder.register_forward_pre_hook(lambda module, _: seen.append(bytes_of(module)))
    laid_out.pipe.unet.register_forward_pre_hook(lambda *_: seen.append(bytes_of(encoder)))
    generate(laid_out, ask(num_inference_steps=1))
    assert seen[0] > 0
    assert seen[-1] == 0
    assert bytes_of(encoder) == 0
    seen.clear()
    generate(laid_out, ask(num_inference_steps=1, seed=8))  # the embeddings are kept: nothing is read again
    assert set(seen) == {0}


def test_8_bit_needs_its_package_and_says_so(tiny_entry: ModelEntry, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement_module, "find_spec", lambda name: None)
    for tier, package in ((Tier.INT8, "torchao"), (Tier.INT4, "bitsandbytes")):
        with pytest.raises(ModelRefused, match=package) as caught:
            load(tiny_entry, tier=tier)
        assert "requirements-quantized.txt" in str(caught.value.hint)


def test_8_bit_runs_where_its_package_is_installed(tiny_entry: ModelEntry, loaded: LoadedModel, ask: Ask) -> None:
    pytest.importorskip("torchao", reason="the optional package of requirements-quantized.txt is not installed")
    laid_out = load(tiny_entry, tier=Tier.INT8)
    made = generate(laid_out, ask())[0]
    layer = laid_out.pipe.unet.mid_block.attentions[0].transformer_blocks[0].attn1.to_q
    assert type(layer.weight).__name__ == "Int8Tensor"
    assert made.rgb != generate(loaded, ask())[0].rgb
    assert made.how["memory"].startswith("int8:")


def test_a_tier_that_needs_a_gpu_is_refused_without_one(tiny_entry: ModelEntry) -> None:
    with pytest.raises(ModelRefused, match="needs a GPU"):
        load(tiny_entry, tier=Tier.MODEL_OFFLOAD)


def test_a_model_that_fits_no_plan_is_not_even_read(tiny_entry: ModelEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.diffusion.cache.room_of", lambda device: Room(ram=2 * 2**30))
    with pytest.raises(OutOfMemory, match="does not fit") as caught:
        load(tiny_entry)
    assert "GB of RAM" in str(caught.value.hint)


def test_what_runs_out_of_memory_in_a_batch_is_made_half_as_many_at_a_time(
    tiny_entry: ModelEntry, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate_module, "_chunk_size", lambda loaded, request: 4)
    cache = ModelCache("cpu")
    first = cache.load(tiny_entry, Path("/"))
    forward = first.pipe.unet.forward

    def tight(sample: torch.Tensor, *args: object, **kwargs: object) -> object:
        if len(sample) > 4:  # two rows with guidance
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(sample, *args, **kwargs)

    first.pipe.unet.forward = tight
    steps: list[tuple[int, int, int]] = []

    class Steps(PassWatch):
        def step(self, index: int, step: int, of: int, preview: bytes | None) -> None:
            steps.append((index, step, of))

    [made] = generate_batch(first, [ask(num_images=4)], Steps(), cache=cache)
    assert made.error is None
    assert [picture.how["batch_size"] for picture in made.pictures] == [2] * 4
    said = "out of memory with resident, 4 at a time; made again with released, 2 at a time"
    assert {picture.how["retried"] for picture in made.pictures} == {said}
    assert steps[-1] == (0, 4, 4)
    assert cache.loaded() == (tiny_entry.key,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, whose memory really runs out")
def test_a_real_cuda_out_of_memory_is_tried_again_lower(tiny_entry: ModelEntry, ask: Ask) -> None:
    cache = ModelCache("cuda:0")
    first = cache.load(tiny_entry, Path("/"))
    usual = generate(first, ask())[0]
    free, _ = torch.cuda.mem_get_info()
    refused = torch.cuda.memory_stats()["num_ooms"]
    hog = torch.empty(free - 96 * 2**20, dtype=torch.uint8, device="cuda:0")
    [made] = generate_batch(first, [ask(width=1024, height=1024, num_images=4)], cache=cache)
    assert torch.cuda.memory_stats()["num_ooms"] > refused  # it really ran out, whatever became of it
    assert made.error is None or made.error.code == "out_of_memory"
    if made.error is None:
        assert "retried" in made.pictures[0].how
    del hog
    torch.cuda.empty_cache()
    assert generate(cache.load(tiny_entry, Path("/")), ask())[0].how["model"] == usual.how["model"]
