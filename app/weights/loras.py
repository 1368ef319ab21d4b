"""LoRA files of the models folder: which there are, whether one is whole, and which family it was trained for."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import FieldError, InvalidRequest, ModelRefused
from app.core.names import is_clean
from app.core.prompt_syntax import LoraTag
from app.families import LORA_FLUX, LORA_QWEN, LORA_SD1, LORA_SD2, LORA_SDXL, family_of
from app.weights.header import read_header
from app.weights.kinds import Shapes

LORA_FOLDER = "loras"
MAX_WORDS, MAX_WORD_CHARS = 5, 100  # of what is shown of a trainer's notes
_MARKS = (".lora_up.", ".lora_down.", ".lora_A.", ".lora_B.", ".lora.up.", ".lora.down.", "lora_linear_layer")
# Width of the text that a UNet's cross attention reads: it tells the Stable Diffusions apart.
_TEXT_WIDTHS: Mapping[int, str] = {768: LORA_SD1, 1024: LORA_SD2, 2048: LORA_SDXL}


@dataclass(frozen=True)
class LoraFile:
    """One LoRA of the models folder: the trainer's notes, or why it cannot be used."""

    name: str
    file: Path
    metadata: Mapping[str, str]
    refused: str | None = None
    family: str | None = None

    def fits(self, pipeline: str) -> bool:
        """True if a model of this class could use it, as far as the file tells."""
        family = family_of(pipeline)
        known = self.family is None or not family.loras or self.family in family.loras
        return self.refused is None and family.denoises and family.loras is not None and known

    def words(self) -> tuple[str, ...]:
        """What to say for it in a prompt, by the trainer's notes: its trigger phrase, else its most frequent tags."""
        phrase = self.metadata.get("modelspec.trigger_phrase", "").strip()
        if phrase:
            return tuple(word.strip()[:MAX_WORD_CHARS] for word in phrase.split(",") if word.strip())[:MAX_WORDS]
        try:
            folders = json.loads(self.metadata.get("ss_tag_frequency", "{}"))
            counted: Counter[str] = Counter()
            for tags in folders.values():
                counted.update({tag.strip(): int(count) for tag, count in tags.items() if tag.strip()})
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            return ()
        return tuple(tag[:MAX_WORD_CHARS] for tag, _ in counted.most_common(MAX_WORDS))


def lora_files(models_folder: Path) -> dict[str, Path]:
    """Name → file of every `.safetensors` under `loras`, folders inside it too; of two with one name, the first.

    Files whose name cannot be written, and folders that cannot be read, are passed over. Never raises.
    """
    files = [
        Path(folder, name)
        for folder, _, names in os.walk(models_folder / LORA_FOLDER)  # passes over what it may not read
        for name in names
        if name.endswith(".safetensors") and not name.startswith(".") and is_clean(name)
    ]
    found: dict[str, Path] = {}
    for file in sorted(files):
        if os.path.isfile(file):
            found.setdefault(file.stem, file)
    return found


def look_at_lora(name: str, file: Path) -> LoraFile:
    """What a LoRA file says about itself. Never raises."""
    try:
        header = read_header(file)
        check_shapes(file, header.shapes)
    except ModelRefused as error:
        return LoraFile(name, file, {}, error.message)
    except OSError as error:
        return LoraFile(name, file, {}, f"{file.name} cannot be read: {error.strerror}.")
    return LoraFile(name, file, header.metadata, family=lora_family(header.shapes))


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


def check_lora_tags(models_folder: Path, tags: Sequence[LoraTag], pipeline: str) -> Iterable[FieldError]:
    """What is wrong with the LoRA tags of a prompt for a model of this pipeline class, before anything runs."""
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
    except OSError as error:
        return f"{files[tag.name].name} cannot be read: {error.strerror}"
    return None


def check_lora(file: Path, pipeline: str) -> Shapes:
    """The tensors of a LoRA. Raises ModelRefused if it is damaged, no LoRA, or known to be for another family."""
    shapes = read_header(file).shapes
    check_shapes(file, shapes)
    family, fitting = lora_family(shapes), family_of(pipeline).loras
    if fitting is None:
        raise ModelRefused(f"{pipeline} takes no LoRA.")
    if family and fitting and family not in fitting:
        raise ModelRefused(f"{file.name} is a LoRA for {family}; this model is {' or '.join(fitting)}.")
    return shapes


def check_shapes(file: Path, shapes: Shapes) -> None:
    """Raises ModelRefused for tensors that are no LoRA, or whose names would reach into the model's own attributes."""
    if not any(mark in name for name in shapes for mark in _MARKS):
        raise ModelRefused(f"{file.name} is no LoRA of a kind that can be used here (LoCon, LoHa and LoKr cannot).")
    hostile = next((name for name in shapes if "__" in name), None)  # `__class__`, `__dict__`: Python's insides
    if hostile is not None:
        raise ModelRefused(f"{file.name} is refused: {hostile[:100]!r} is no layer of a model.")


def find_lora(models_folder: Path, tag: LoraTag) -> Path:
    """The file of a tag. Raises InvalidRequest naming those there are."""
    files = lora_files(models_folder)
    if tag.name not in files:
        raise InvalidRequest([FieldError("prompt", str(tag), _reason(files, tag, "") or "")])
    return files[tag.name]
