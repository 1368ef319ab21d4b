"""Qwen-Image-Lightning: a base model, a LoRA that belongs to it and a scheduler of its own, in one catalog entry."""

from pathlib import Path

import pytest
from diffusers import FlowMatchEulerDiscreteScheduler

from app.catalog import Catalog
from app.core.errors import InvalidRequest
from app.core.schema import GenerationRequest
from app.core.settings import PROJECT_FOLDER, Settings
from app.diffusion.cache import ModelCache
from app.diffusion.generate import generate
from app.diffusion.samplers import make_scheduler, with_config
from tests.families import save
from tests.loras import save_lora
from tests.pipelines import catalog_toml

LORA = "Qwen-Image-Lightning-8steps-V2.0"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Qwen-Image; the Lightning entry is the shipped one, on this base."""
    folder = tmp_path_factory.mktemp("models")
    save("qwen-image", folder / "qwen")
    shipped = Catalog(Settings(models_folder=PROJECT_FOLDER / "models")).get("qwen-image-lightning")
    assert (shipped.lora, shipped.num_inference_steps, shipped.guidance_scale) == (LORA, 8, 1.0)
    qwen = {"title": "Qwen", "path": "qwen", "pipeline": "QwenImagePipeline"}
    file = catalog_toml(folder, base=qwen, fast=qwen | {"lora": LORA, "lora_repository": "lightx2v/x"})
    lines = [f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
             for name, value in shipped.scheduler_config.items()]  # fmt: skip
    file.write_text(file.read_text() + "[fast.scheduler_config]\n" + "\n".join(lines) + "\n")
    return folder


def ask(model: str, **fields: object) -> GenerationRequest:
    values = {"prompt": "an apple", "model": model, "seed": 1, "width": 64, "height": 64, "num_inference_steps": 8}
    return GenerationRequest.model_validate(values | {"guidance_scale": 1.0, "scheduler": "default"} | fields)


def test_without_its_lora_the_entry_says_where_to_get_it(models: Path) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Catalog(Settings(models_folder=models)).resolve(ask("fast"))
    [error] = refused.value.errors
    assert error.field == "model"
    assert f"hf download lightx2v/x {LORA}.safetensors --local-dir models/loras" in error.allowed


def test_lora_and_scheduler_of_the_entry_are_used_and_the_base_stays_as_it_was(models: Path) -> None:
    layers = {"transformer_blocks.0.attn.to_q": (48, 48)}
    save_lora(models / "loras" / f"{LORA}.safetensors", layers, part="transformer")
    save_lora(models / "loras" / "more.safetensors", layers, part="transformer", seed=1)
    catalog, cache = Catalog(Settings(models_folder=models)), ModelCache("cpu")
    catalog.resolve(ask("fast"))
    base, fast = (cache.load(catalog.get(name), models) for name in ("base", "fast"))
    before = generate(base, ask("base"))[0]
    steps: list[int] = []
    drawn = generate(fast, ask("fast"), on_step=lambda step, of, preview: steps.append(step))[0]
    assert len(steps) == 8
    assert [lora["name"] for lora in drawn.how["loras"]] == [LORA]
    more = generate(fast, ask("fast", prompt="an apple<lora:more:1>"))[0]
    assert [lora["name"] for lora in more.how["loras"]] == [LORA, "more"]
    assert len({before.rgb, drawn.rgb, more.rgb, generate(base, ask("base"))[0].rgb}) == 3
    own = base.pipe.scheduler
    assert make_scheduler(with_config(own, fast.entry.scheduler_config), "default").config.max_shift > 1
    assert make_scheduler(with_config(own, base.entry.scheduler_config), "default").config.max_shift == 0.9


def test_the_scheduler_of_the_shipped_entry_is_that_of_the_model_card() -> None:
    shipped = Catalog(Settings(models_folder=PROJECT_FOLDER / "models")).get("qwen-image-lightning")
    # The scheduler of Qwen/Qwen-Image, as its repository has it.
    base = {"base_image_seq_len": 256, "base_shift": 0.5, "max_image_seq_len": 8192, "max_shift": 0.9, "shift": 1.0,
            "shift_terminal": 0.02, "time_shift_type": "exponential", "use_dynamic_shifting": True}  # fmt: skip
    made = with_config(FlowMatchEulerDiscreteScheduler(**base), shipped.scheduler_config)
    made.set_timesteps(sigmas=[1 - i / 8 for i in range(8)], mu=made.config.base_shift)
    wanted = [3 * s / (1 + 2 * s) for s in (1 - i / 8 for i in range(8))]
    assert made.sigmas[:8].tolist() == pytest.approx(wanted)
