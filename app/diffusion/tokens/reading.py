"""Janus from its folder: checked as every model is, read by transformers, and only what draws is kept."""

import gc
from collections import Counter
from typing import Any

import torch
import transformers

from app.core.errors import ModelRefused
from app.diffusion.checkpoints import CheckedFolder, check_alone, weight_files
from app.diffusion.placement import quantization
from app.diffusion.tokens.modules import USED, TokenDecoder, TokenDrawer, role_of_tensor
from app.diffusion.tokens.pipeline import JanusPipeline
from app.families import family_of
from app.tiers.plan import Plan
from app.weights.header import read_header


def check_tokens(folder: Any, pipeline: str) -> CheckedFolder:
    """Look through the folder of a model that draws token by token. Raises ModelRefused, as `check_folder` does."""
    parameters = check_alone(folder, str(family_of(pipeline).architecture))
    size = sum(file.stat().st_size for file in weight_files(folder, None))
    return CheckedFolder(folder, pipeline, (), size, parameters)


def token_components(checked: CheckedFolder) -> dict[str, int]:
    """How many numbers each part that draws has, by the headers of the files."""
    counted: Counter[str] = Counter()
    for file in weight_files(checked.folder, None):
        for name, shape in read_header(file).shapes.items():
            if part := role_of_tensor(name):
                counted[part] += torch.Size(shape).numel()
    return dict(counted)


def read_tokens(checked: CheckedFolder, dtype: torch.dtype, plan: Plan) -> JanusPipeline:
    """The pipeline in RAM. Raises ModelRefused for weights that are not all there, and what transformers raises."""
    cls = getattr(transformers, str(family_of(checked.pipeline).architecture))
    _check_numbers(cls, checked)
    config = quantization(plan, transformers)
    options = {} if config is None else {"quantization_config": config}
    tokenizer = transformers.AutoTokenizer.from_pretrained(checked.folder, local_files_only=True)
    model, told = cls.from_pretrained(
        checked.folder, use_safetensors=True, local_files_only=True, dtype=dtype, output_loading_info=True, **options
    )
    missing = sorted(name for name in told["missing_keys"] if name.startswith(USED))
    if missing:
        raise ModelRefused(f"{checked.name} lacks {len(missing)} tensors, such as {missing[0]}.")
    special = _special(model.generation_config)
    pipe = JanusPipeline(tokenizer, TokenDrawer(model.model), TokenDecoder(model.model.vqmodel), special)
    pipe.transformer.eval()
    pipe.vae.eval()
    del model  # what looks at pictures, and the head that writes words
    gc.collect()
    return pipe


def _check_numbers(cls: Any, checked: CheckedFolder) -> None:
    """Nothing takes memory that the files do not hold: a configuration may say anything."""
    with torch.device("meta"):
        bare = cls(cls.config_class.from_pretrained(checked.folder, local_files_only=True))
    needed = sum(tensor.numel() for name, tensor in bare.named_parameters() if name.startswith(USED))
    held = sum(token_components(checked).values())
    if held < needed:
        raise ModelRefused(f"{checked.name}: its safetensors hold {held} numbers, and config.json needs {needed}.")


def _special(config: Any) -> dict[str, int]:
    more = getattr(config, "generation_kwargs", None) or {}
    found = {"bos": config.bos_token_id, "pad": config.pad_token_id, "boi": more.get("boi_token_id")}
    unknown = [f"{name}_token_id" for name, value in found.items() if not isinstance(value, int)]
    if unknown:
        raise ModelRefused(f"generation_config.json does not say {', '.join(unknown)}.")
    return found
