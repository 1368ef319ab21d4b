"""LoRA files of the models folder: which there are, whether one is whole, and which family it was trained for."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from app.core.errors import FieldError, InvalidRequest, ModelRefused
from app.core.prompt_syntax import LoraTag, parse_loras
from app.families import LORA_FLUX, LORA_QWEN, LORA_SD1, LORA_SD2, LORA_SDXL, family_of
from app.weights.header import read_header
from app.weights.kinds import Shapes

LORA_FOLDER = "loras"
_MARKS = (".lora_up.", ".lora_down.", ".lora_A.", ".lora_B.", ".lora.up.", ".lora.down.", "lora_linear_layer")
# Width of the text that a UNet's cross attention reads: it tells the Stable Diffusions apart.
_TEXT_WIDTHS: Mapping[int, str] = {768: LORA_SD1, 1024: LORA_SD2, 2048: LORA_SDXL}


def lora_files(models_folder: Path) -> dict[str, Path]:
    """Name → file of every `.safetensors` under `loras`, folders inside it too; of two with one name, the first."""
    found: dict[str, Path] = {}
    for file in sorted((models_folder / LORA_FOLDER).rglob("*.safetensors")):
        if file.is_file() and not file.name.startswith("."):
            found.setdefault(file.stem, file)
    return found


def lora_metadata(file: Path) -> dict[str, Any]:
    """What the trainer wrote into a LoRA; nothing for a damaged file."""
    try:
        return dict(read_header(file).metadata)
    except (ModelRefused, OSError):
        return {}


def lora_family(shapes: Shapes) -> str | None:
    """The family a LoRA was trained for, told from its tensors; None if they do not tell."""
    names = list(shapes)
    if any("double_blocks" in name or "single_transformer_blocks" in name for name in names):
        return LORA_FLUX
    if any("img_mlp" in name or "txt_mlp" in name for name in names):
        return LORA_QWEN
    for name, shape in shapes.items():
        down = ".lora_down." in name or ".lora_A." in name or "lora.down." in name
        if down and "attn2" in name and ("to_k" in name or "to_v" in name) and len(shape) >= 2:
            return _TEXT_WIDTHS.get(shape[1])
    return None


def check_lora_tags(models_folder: Path, prompt: str, pipeline: str) -> Iterable[FieldError]:
    """What is wrong with the LoRA tags of a prompt for a model of this pipeline class, before anything runs."""
    try:
        tags = parse_loras(prompt)[1]
    except ValueError as error:
        yield FieldError("prompt", prompt, str(error))
        return
    files = lora_files(models_folder) if tags else {}
    for tag in tags:
        reason = _reason(files, tag, pipeline)
        if reason:
            yield FieldError("prompt", str(tag), reason)


def _reason(files: Mapping[str, Path], tag: LoraTag, pipeline: str) -> str | None:
    if tag.name not in files:
        known = ", ".join(files) or "none yet: put .safetensors files into models/loras"
        return f"there is no LoRA {tag.name!r}; allowed is one of: {known}"
    try:
        check_lora(files[tag.name], pipeline)
    except ModelRefused as error:
        return error.message
    return None


def check_lora(file: Path, pipeline: str) -> Shapes:
    """The tensors of a LoRA. Raises ModelRefused if it is damaged, no LoRA, or known to be for another family."""
    shapes = read_header(file).shapes
    if not any(mark in name for name in shapes for mark in _MARKS):
        raise ModelRefused(f"{file.name} is no LoRA of a kind that can be used here (LoCon, LoHa and LoKr cannot).")
    family, fitting = lora_family(shapes), family_of(pipeline).loras
    if family and fitting and family not in fitting:
        raise ModelRefused(f"{file.name} is a LoRA for {family}; this model is {' or '.join(fitting)}.")
    return shapes


def find_lora(models_folder: Path, tag: LoraTag) -> Path:
    """The file of a tag. Raises InvalidRequest naming those there are."""
    files = lora_files(models_folder)
    if tag.name not in files:
        raise InvalidRequest([FieldError("prompt", str(tag), _reason(files, tag, "") or "")])
    return files[tag.name]
