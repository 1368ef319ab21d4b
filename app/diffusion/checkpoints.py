"""Is this model folder safe to open, and can we run it? Answered from names, sizes and JSON, before any loader runs.

Only safetensors weights, only classes of diffusers and transformers, no code that comes with a model.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import transformers
from diffusers import ModelMixin, SchedulerMixin
from transformers import (
    FeatureExtractionMixin,
    ImageProcessingMixin,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from app.core.errors import ModelRefused
from app.diffusion.picture_words import is_processor
from app.families import is_known
from app.weights.header import read_header

MAX_JSON_BYTES = 32 * 2**20
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WEIGHT_SUFFIXES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle", ".msgpack", ".h5", ".onnx")
_PREPARED = (PreTrainedTokenizerBase, FeatureExtractionMixin, ImageProcessingMixin, ProcessorMixin)
_ROLES: dict[str, tuple[type, ...]] = {
    "scheduler": (SchedulerMixin,),
    "unet": (ModelMixin,),
    "transformer": (ModelMixin,),
    "vae": (ModelMixin,),
    "text_encoder": (PreTrainedModel,),
    "image_encoder": (PreTrainedModel,),
    "tokenizer": _PREPARED,
    "feature_extractor": _PREPARED,
}
_CODE_SUFFIXES = (".py", ".pyc", ".so", ".dll", ".dylib")


@dataclass(frozen=True)
class CheckedFolder:
    """A folder that passed. `components` are the names of those with weights; `weight_bytes` their files' size.

    `transformer` is a file of its own that stands in for the folder's (see `quantized`).
    """

    folder: Path
    pipeline: str
    components: tuple[str, ...]
    weight_bytes: int
    parameters: int
    transformer: Path | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name


def check_folder(folder: Path, *, variant: str | None = None) -> CheckedFolder:
    """Look through a diffusers folder. Raises ModelRefused with the file and the reason.

    `.bin` and `.ckpt` files beside safetensors of the same component are not opened and do not matter; a component
    that has nothing else is refused.
    """
    name, parts = check_index(folder)
    components = []
    total = parameters = 0
    for part in parts:
        files = weight_files(folder / part, variant)
        if files:
            components.append(part)
            total += sum(file.stat().st_size for file in files)
            parameters += sum(read_header(file).parameters for file in files)
    return CheckedFolder(folder, name, tuple(components), total, parameters)


def check_index(folder: Path) -> tuple[str, tuple[str, ...]]:
    """The pipeline class that a folder names, and its components; weights are not looked at. Raises ModelRefused."""
    index = read_index(folder)
    name = index.get("_class_name")
    if not isinstance(name, str) or not is_known(name):
        raise ModelRefused(f"{folder.name}: pipeline class {name!r} is not a text-to-image pipeline of diffusers.")
    _refuse_code(folder)
    parts = []
    for part, value in index.items():
        if part.startswith("_") or not isinstance(value, list) or part == "safety_checker":
            continue
        if value and value[0] is None:
            continue
        _check_class(folder, part, value)
        parts.append(part)
    return name, tuple(parts)


def class_alone(folder: Path) -> str:
    """The class that the `config.json` of a folder with one model names. Raises ModelRefused."""
    named = _read_json(folder / "config.json", "has no config.json").get("architectures")
    return named[0] if isinstance(named, list) and named and isinstance(named[0], str) else "model of no named class"


def check_alone(folder: Path, cls: str, variant: str | None = None) -> int:
    """Look through a folder that holds one model of that class and no pipeline; how many numbers its weights hold.

    Raises ModelRefused, as `check_folder` does.
    """
    config = _read_json(folder / "config.json", "has no config.json")
    named = config.get("_class_name") or config.get("architectures")  # as diffusers says it, and transformers
    if named not in (cls, [cls]):
        raise ModelRefused(f"{folder.name} is no {cls}: its config.json names {str(named)[:100]!r}.")
    _refuse_code(folder)
    files = weight_files(folder, variant)
    if not files:
        raise ModelRefused(f"{folder.name} has no safetensors weights; nothing else is loaded.")
    return sum(read_header(file).parameters for file in files)


def read_index(folder: Path) -> dict[str, Any]:
    """What `model_index.json` says. Raises ModelRefused."""
    return _read_json(folder / "model_index.json", "is not a diffusers folder: it has no model_index.json")


def pipeline_class(name: str) -> Any:
    """The diffusers class of an allowed pipeline."""
    return getattr(diffusers, name)


def _read_json(file: Path, missing: str) -> dict[str, Any]:
    if not file.is_file():
        raise ModelRefused(f"{file.parent.name} {missing}.")
    try:
        if file.stat().st_size > MAX_JSON_BYTES:
            raise ModelRefused(f"{file.name} is too large for a configuration ({file.stat().st_size} bytes).")
        value = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"{file.parent.name}/{file.name} is not readable JSON: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise ModelRefused(f"{file.parent.name}/{file.name} is not a JSON object.")
    return value


def _refuse_code(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.suffix.lower() in _WEIGHT_SUFFIXES and len(file.relative_to(folder).parts) > 2:
            raise ModelRefused(
                f"{folder.name} hides weights that are no safetensors ({file.relative_to(folder)}); none are opened."
            )
        if file.suffix.lower() in _CODE_SUFFIXES:
            raise ModelRefused(f"{folder.name} brings code of its own ({file.relative_to(folder)}); that is never run.")
        if file.name in ("config.json", "tokenizer_config.json", "preprocessor_config.json", "model_index.json"):
            config = _read_json(file, "")
            for word in ("auto_map", "custom_pipeline", "custom_code"):
                if config.get(word):
                    where = file.relative_to(folder)
                    raise ModelRefused(f"{folder.name}: {where} asks for code of its own ({word}); that is never run.")
        if ".safetensors.index." in file.name:  # with a variant's name behind it, or without
            _check_shards(folder, file)
        if file.name == "adapter_config.json":  # transformers would follow it to other files, wherever they are
            raise ModelRefused(
                f"{folder.name} brings an adapter ({file.relative_to(folder)}); only whole models are loaded."
            )


def _check_shards(folder: Path, file: Path) -> None:
    """A list of shards names the files that a loader opens: safetensors of its own folder, and never a pickle."""
    shards = _read_json(file, "").get("weight_map")
    names = set(shards.values()) if isinstance(shards, dict) and all(map(_is_text, shards.values())) else {""}
    for name in names:
        if not name.endswith(".safetensors") or "/" in name or "\\" in name:
            where = file.relative_to(folder)
            raise ModelRefused(f"{folder.name}: {where} names {name!r}; only safetensors files beside it are loaded.")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _check_class(folder: Path, part: str, value: list[Any]) -> None:
    library, name = (value[0], value[1]) if len(value) == 2 else (None, None)
    modules = {"diffusers": diffusers, "transformers": transformers, "kolors": diffusers.pipelines.kolors}
    module = modules.get(str(library))
    if (
        module is None
        or not isinstance(name, str)
        or not _IDENTIFIER.fullmatch(name)
        or not _IDENTIFIER.fullmatch(part)
    ):
        raise ModelRefused(f"{folder.name}: component {part} wants {value!r}; only diffusers and transformers classes.")
    if is_processor(part, name):
        return
    cls = getattr(module, name, None)
    if not isinstance(cls, type) or not issubclass(cls, _allowed_for(part)):
        raise ModelRefused(f"{folder.name}: component {part} wants {library}.{name}, which is no class for it here.")


def _allowed_for(part: str) -> tuple[type, ...]:
    """What a component may be. A pipeline inside a pipeline is never: its own parts would be loaded unchecked."""
    known = (kinds for role, kinds in _ROLES.items() if part.startswith(role))
    return next(known, (SchedulerMixin, ModelMixin, PreTrainedModel, *_PREPARED))


def weight_files(folder: Path, variant: str | None) -> list[Path]:
    """The safetensors files that a loader would open for one component: the variant's if there are any."""
    if not folder.is_dir():
        return []
    found = sorted(folder.glob("*.safetensors"))
    other = [file for file in folder.iterdir() if file.suffix.lower() in _WEIGHT_SUFFIXES]
    if not found and other:
        raise ModelRefused(f"{folder.name}/{other[0].name} is a pickle; only safetensors weights are loaded.")
    wanted = [file for file in found if variant and f".{variant}" in file.name]
    plain = [file for file in found if ".fp16" not in file.name and ".non_ema" not in file.name]
    return wanted or plain or found
