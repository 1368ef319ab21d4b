"""Which plan each model of the catalog gets on which machine: arithmetic, no GPU needed."""

import pytest

from app.catalog import Catalog
from app.core.settings import PROJECT_FOLDER, MachineSize, Settings, Tier
from app.tiers.choose import Room, choose, expected, ladder, lower
from app.tiers.model_parts import ModelParts, guessed_parts, parts_of_entry
from app.tiers.plan import Plan

GIB = 2**30


def room(ram: float, vram: float | None = None, **more: object) -> Room:
    return Room(int(ram * GIB), None if vram is None else int(vram * GIB), **more)


def listed(key: str) -> tuple[ModelParts, int]:
    """Parts and pixels of a shipped catalog entry."""
    entry = Catalog(Settings(models_folder=PROJECT_FOLDER / "models")).get(key)
    parts = parts_of_entry(entry)
    assert parts is not None
    return parts, entry.width * entry.height


def plan(key: str, where: Room, **wishes: object) -> Plan:
    return choose(*listed(key)[:1], where, listed(key)[1], **wishes)


@pytest.mark.parametrize(
    ("key", "where", "tier", "lossless"),
    [
        ("pocket", room(4), Tier.RESIDENT, True),
        ("stable-diffusion-v1-5", room(16, 4), Tier.RESIDENT, True),
        ("stable-diffusion-2-1", room(16, 4), Tier.RELEASED, True),
        ("stable-diffusion-xl-base", room(16, 4), Tier.GROUP_OFFLOAD, True),
        ("stable-diffusion-xl-base", room(8, 4), Tier.FP8_OFFLOAD, False),
        ("stable-diffusion-xl-base", room(16, 8), Tier.MODEL_OFFLOAD, True),
        ("stable-diffusion-xl-base", room(16, 12), Tier.RESIDENT, True),
        ("sdxl-turbo", room(16, 8), Tier.RELEASED, True),
        ("qwen-image", room(64, 10), Tier.GROUP_OFFLOAD, True),
        ("qwen-image", room(32, 10), Tier.FP8_OFFLOAD, False),
        ("qwen-image", room(128, 48), Tier.MODEL_OFFLOAD, True),
        ("qwen-image", room(128, 80), Tier.RESIDENT, True),
        ("qwen-image", room(64), Tier.RELEASED, True),
        ("qwen-image", room(64, fast_half=True), Tier.RELEASED, True),
        ("qwen-image", room(32), Tier.FP8, False),
    ],
)
def test_a_model_gets_the_fastest_plan_that_keeps_its_pixels_and_fits(
    key: str, where: Room, tier: Tier, lossless: bool
) -> None:
    found = plan(key, where)
    assert found.fits
    assert (found.tier, found.lossless) == (tier, lossless)
    assert found.reason
    assert found.expected_ram <= where.ram
    assert (found.expected_vram or 0) <= (where.vram or 0)


def test_expected_peaks_are_near_the_published_ones() -> None:
    # diffusers' documentation: SDXL at 1024 px 8.96 GB, SD 1.5 at 512 px 2.6 GB, both less the CUDA context.
    big = room(64, 80)
    for key, published in (("stable-diffusion-xl-base", 8.96e9), ("stable-diffusion-v1-5", 2.6e9)):
        assert (plan(key, big).expected_vram or 0) - 0.6e9 == pytest.approx(published, rel=0.05)


def test_qwen_image_on_a_cpu_without_fast_bfloat16_is_computed_in_it_to_fit() -> None:
    assert plan("qwen-image", room(64)).half
    assert not plan("qwen-image", room(64, fast_half=True)).half
    assert not plan("qwen-image", room(256)).half


def test_a_machine_where_nothing_fits_is_told_what_would_help() -> None:
    small = plan("qwen-image", room(8, 6))
    assert not small.fits
    assert "GB of GPU memory with" in small.hint
    assert "a smaller model" in small.hint
    assert "torchao" in small.hint
    cpu = plan("qwen-image", room(8))
    assert not cpu.fits
    assert "GB of RAM" in cpu.hint


def test_what_other_programs_use_now_costs_speed_but_never_pixels() -> None:
    busy = room(64, 24, vram_free=5 * GIB)
    assert plan("stable-diffusion-xl-base", busy).tier is Tier.GROUP_OFFLOAD
    full = room(64, 24, vram_free=0, ram_free=0)
    found = plan("stable-diffusion-xl-base", full)
    assert found.fits
    assert found.lossless


@pytest.mark.parametrize(
    ("size", "on_gpu", "on_cpu"),
    [
        (MachineSize.BIG, "resident", "resident"),
        (MachineSize.MEDIUM, "released", "released"),
        (MachineSize.LITTLE, "model-offload, VAE tiling", "released"),
        (MachineSize.TINY, "group-offload, VAE tiling", "released, VAE tiling"),
    ],
)
def test_machine_size_overrides_the_measurement(size: MachineSize, on_gpu: str, on_cpu: str) -> None:
    assert plan("stable-diffusion-v1-5", room(16, 24), size=size).name() == on_gpu
    assert plan("stable-diffusion-v1-5", room(16), size=size).name() == on_cpu


def test_a_tier_that_is_asked_for_is_taken_even_where_it_may_not_fit() -> None:
    found = plan("qwen-image", room(16, 4), tier=Tier.RESIDENT)
    assert (found.tier, found.fits) == (Tier.RESIDENT, True)
    assert found.reason.startswith("asked for: resident")


def test_quantized_tiers_are_chosen_only_with_their_package() -> None:
    without = plan("qwen-image", room(48, 28))
    assert without.tier not in (Tier.INT8, Tier.INT4)
    parts, pixels = listed("qwen-image")
    tiers = {item.tier for item in ladder(parts, room(48, 28), ("torchao", "bitsandbytes"))}
    assert {Tier.INT8, Tier.INT4} <= tiers
    assert choose(parts, room(32, 48), pixels, packages=("torchao",)).tier is Tier.INT8


@pytest.mark.parametrize("where", [room(64, 24), room(64)])
def test_every_step_down_needs_less_until_there_is_none(where: Room) -> None:
    parts, pixels = listed("stable-diffusion-xl-base")
    step: Plan | None = expected(Plan(Tier.RESIDENT), parts, where, pixels)
    needs = []
    while step is not None:
        needs.append(step.expected_vram or step.expected_ram)
        step = lower(step, parts, where, pixels)
    assert len(needs) >= 3
    assert needs == sorted(needs, reverse=True)


def test_a_denoiser_from_a_file_of_its_own_keeps_its_number_format() -> None:
    parts = ModelParts(1, 1, 1, 1, one_file=True)
    assert all(item.tier not in (Tier.FP8, Tier.INT8) for item in ladder(parts, room(8), ("torchao",)))


def test_the_words_of_a_plan_say_when_pixels_change() -> None:
    assert "changes pixels" not in Plan(Tier.GROUP_OFFLOAD).words()
    assert "changes pixels" in Plan(Tier.FP8).words()
    assert "changes pixels" in Plan(Tier.RESIDENT, vae_tiling=True).words()


def test_a_model_of_unknown_parts_is_split_as_its_family_is() -> None:
    parts = guessed_parts(3_469_000_000, "StableDiffusionXLPipeline")
    assert parts.total == 3_469_000_000
    assert parts.encoders == 817_000_000
