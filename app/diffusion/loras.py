"""LoRAs put onto a loaded model for one job and taken off again, so that nobody else's picture changes."""

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from app.core.errors import ModelRefused, OutOfMemory
from app.core.prompt_syntax import LoraTag
from app.diffusion.kinds import Pipeline
from app.diffusion.memory import is_out_of_memory
from app.weights.loras import check_lora, find_lora

_SUFFIXES = {
    f"{name}.weight": side
    for side, names in enumerate((("lora_A", "lora.down", "lora_down"), ("lora_B", "lora.up", "lora_up")))
    for name in (f".{names[0]}", f".{names[1]}", f"_{names[1]}", f".lora_linear_layer{names[1][4:]}", f".{names[2]}")
}
_SCALES = (".alpha",)  # one number for a layer, no matrix
# An older form names the layers of attention by their roles; diffusers renames them when it loads them.
_ROLE = re.compile(r"(\.self_attn)?(?:\.processor)?\.to_(q|k|v|out)$")


@dataclass(frozen=True)
class ActiveLora:
    """A LoRA that is on the model now. `hash` is A1111's: 12 digits of the SHA-256 of all behind the header."""

    name: str
    text_weight: float
    image_weight: float
    hash: str

    def as_dict(self) -> dict[str, Any]:
        """For the recipe."""
        return vars(self).copy()


class Loras:
    """The LoRAs of one loaded model; `folder` is the models folder. One thread.

    `changing` is entered while LoRAs are put on: whoever keeps the text encoders elsewhere brings them there. `refused`
    says why this model takes none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.active: tuple[ActiveLora, ...] = ()
        self.refused: str | None = None
        self.changing: Callable[[], AbstractContextManager[None]] = nullcontext
        self._hashes: dict[tuple[str, int, int], str] = {}

    @contextmanager
    def applied(self, pipe: Pipeline, asked: Sequence[LoraTag], own: str | None = None) -> Iterator[None]:
        """While open, the LoRAs that were asked for are on the pipeline; afterwards it is as it was, bit by bit.

        `own` is the name of one that is part of the model and comes before them.

        Raises InvalidRequest for an unknown one, ModelRefused for one that is damaged or does not fit, OutOfMemory.
        """
        tags = list(asked)
        if own:
            tags = [LoraTag(own), *(tag for tag in tags if tag.name != own)]
        if not tags:
            yield
            return
        if not hasattr(pipe, "load_lora_weights"):
            raise ModelRefused(f"{type(pipe).__name__} takes no LoRA.")
        if self.refused:
            raise ModelRefused(self.refused)
        try:
            with self.changing():
                self._put_on(pipe, tags)
            yield
        finally:
            self.active = ()
            pipe.unload_lora_weights()

    def _put_on(self, pipe: Pipeline, tags: list[LoraTag]) -> None:
        files = [find_lora(self.folder or Path(), tag) for tag in tags]
        for file in files:
            check_lora(file, type(pipe).__name__)
        names = [f"lora_{number}" for number in range(len(tags))]  # a file's name may have dots, an adapter's not
        for name, file in zip(names, files, strict=True):
            _load(pipe, file, name)
        weights = [_weights(pipe, name, tag) for name, tag in zip(names, tags, strict=True)]
        pipe.set_adapters(names, adapter_weights=weights)
        self.active = tuple(
            ActiveLora(tag.name, tag.text_weight, tag.image_weight, self._hash(file))
            for tag, file in zip(tags, files, strict=True)
        )

    def _hash(self, file: Path) -> str:
        status = file.stat()
        key = (str(file), status.st_size, status.st_mtime_ns)
        if key not in self._hashes:
            with file.open("rb") as stream:
                stream.seek(8 + int.from_bytes(stream.read(8), "little"))
                self._hashes[key] = hashlib.file_digest(stream, "sha256").hexdigest()[:12]
        return self._hashes[key]


def _load(pipe: Pipeline, file: Path, name: str) -> None:
    try:
        config = {"unet_config": pipe.unet.config} if hasattr(pipe, "unet") else {}
        found = pipe.lora_state_dict(file.parent, weight_name=file.name, local_files_only=True, **config)
        state = found[0] if isinstance(found, tuple) else found
        _check_fit(pipe, file, state)
        with warnings.catch_warnings():
            # Several at once are meant.
            warnings.filterwarnings("ignore", message="Already found a `peft_config` attribute")
            pipe.load_lora_weights(file.parent, weight_name=file.name, adapter_name=name, local_files_only=True)
    except (MemoryError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, OSError, IndexError) as error:
        if is_out_of_memory(error):
            raise OutOfMemory(f"There is not enough memory for the LoRA {file.name}.") from None
        raise ModelRefused(f"The LoRA {file.name} could not be used: {type(error).__name__}: {error}") from None


def _check_fit(pipe: Pipeline, file: Path, state: Mapping[str, Any]) -> None:
    """Every matrix of a LoRA needs its layer, of the right size; diffusers would leave out what has none."""
    layers = {part: dict(module.named_modules()) for part, module in pipe.components.items()
              if isinstance(module, torch.nn.Module)}  # fmt: skip
    other = f"The LoRA {file.name} is for another architecture"
    for key, tensor in state.items():
        suffix = next((ending for ending in _SUFFIXES if key.endswith(ending)), None)
        if suffix is None and key.endswith(_SCALES):
            continue
        if suffix is None:
            raise ModelRefused(f"The LoRA {file.name} has a tensor of a kind that is not used here: {key[:100]!r}.")
        part, _, path = _ROLE.sub(_layer, key.removesuffix(suffix)).partition(".")
        known = layers.get(part, {})
        layer = known.get(path) or known.get(path.removeprefix("text_model.")) or known.get(f"text_model.{path}")
        weight = getattr(layer, "weight", None)
        if weight is None:
            raise ModelRefused(f"{other}: this model has no layer {part}.{path}.")
        side = 1 - _SUFFIXES[suffix]  # down reads what the layer reads, up writes what it writes
        here, there = weight.shape[side], tensor.shape[side]
        if here != there:
            raise ModelRefused(
                f"{other}: layer {part}.{path} has {here} {('outputs', 'inputs')[side]} here and {there} there."
            )


def _layer(found: re.Match[str]) -> str:
    if found[1]:
        return f".self_attn.{found[2]}_proj"
    return ".to_out.0" if found[2] == "out" else f".to_{found[2]}"


def _weights(pipe: Pipeline, name: str, tag: LoraTag) -> float | dict[str, float]:
    if tag.text_weight == tag.image_weight:
        return tag.text_weight
    parts = [part for part, names in pipe.get_list_adapters().items() if name in names]
    return {part: tag.text_weight if part.startswith("text_encoder") else tag.image_weight for part in parts}
