"""Checkpoints that are one file: Stable Diffusion 1, 2 and XL in the layout of their training code.

They are loaded without the network. What diffusers would ask the hub for lies in `layouts/`: the configurations of the
three families, and CLIP's list of merges, from which both of its tokenizers are built.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPTokenizer

from app.core.errors import ModelRefused
from app.diffusion.checkpoints import check_index, pipeline_class
from app.diffusion.kinds import Pipeline
from app.families import LATENT_CONSISTENCY
from app.weights.header import read_header
from app.weights.kinds import Kind, Layout, kind_of

LAYOUTS = Path(__file__).parent / "layouts"
MERGES = LAYOUTS / "clip-merges.txt.gz"
START, END = "<|startoftext|>", "<|endoftext|>"
# The OpenCLIP encoders (SD 2, and SDXL's second one) were trained with token 0 as filler.
PADDING = {
    Layout.SD1: {"tokenizer": END},
    Layout.SD2: {"tokenizer": "!"},
    Layout.SDXL: {"tokenizer": END, "tokenizer_2": "!"},
}


@dataclass(frozen=True)
class CheckedFile:
    """A file that passed. `config` is the folder whose configurations it is loaded with; None = the family's own."""

    file: Path
    kind: Kind
    layout: Layout
    pipeline: str
    weight_bytes: int
    parameters: int
    config: Path | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name


def check_file(file: Path, config: Path | None = None) -> CheckedFile:
    """Look at a single-file checkpoint: whole, of a family we run, and with a `config` folder that fits.

    Only its header is read. Raises ModelRefused with the reason.
    """
    if file.suffix.lower() != ".safetensors":
        raise ModelRefused(f"{file.name} is not a .safetensors file; no other kind is opened, for it could run code.")
    header = read_header(file)
    kind = kind_of(header.shapes)
    if kind.layout is None:
        raise ModelRefused(f"{file.name} is {kind.words}; it cannot make pictures by itself.", hint=kind.hint)
    pipeline = kind.layout.family.pipeline
    if config is not None:
        named, _ = check_index(config)
        if named not in (pipeline, LATENT_CONSISTENCY.pipeline):
            raise ModelRefused(f"{file.name} is {kind.words}, but the configuration in {config.name} is for {named}.")
        pipeline = named
    return CheckedFile(file, kind, kind.layout, pipeline, file.stat().st_size, header.parameters, config)


def read_file(checked: CheckedFile, dtype: torch.dtype) -> Pipeline:
    """The pipeline on the CPU. Raises what diffusers raises, and ModelRefused if tensors are missing."""
    cls = pipeline_class(checked.pipeline)
    given: dict[str, Any] = {}
    if checked.config is None:
        given = {name: clip_tokenizer(pad) for name, pad in PADDING[checked.layout].items()}
    config = checked.config or LAYOUTS / checked.layout.value
    incomplete = ModelRefused(f"{checked.file.name} is not complete: it lacks tensors of its family.")
    try:
        pipe = cls.from_single_file(str(checked.file), config=str(config), local_files_only=True, dtype=dtype, **given)
    except NotImplementedError as error:  # "Cannot copy out of meta tensor": a place that the file had nothing for
        raise incomplete from error
    modules = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    if any(tensor.is_meta for module in modules for tensor in module.parameters()):  # of the text encoders it says none
        raise incomplete
    if checked.kind.v_prediction:
        more = {"rescale_betas_zero_snr": True} if checked.kind.zero_snr else {}
        own = pipe.scheduler.config
        pipe.scheduler = type(pipe.scheduler).from_config(own, prediction_type="v_prediction", **more)
    return pipe


def clip_tokenizer(pad: str = END) -> CLIPTokenizer:
    """CLIP's tokenizer for prompts of 77 tokens, built from its merges."""
    merges = [line.split() for line in gzip.decompress(MERGES.read_bytes()).decode().splitlines()]
    letters = _byte_letters()
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges), START, END]
    return CLIPTokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=[(first, second) for first, second in merges],
        pad_token=pad,
        model_max_length=77,
    )


def _byte_letters() -> list[str]:
    """A visible character for each of the 256 bytes, in the order of GPT-2's and CLIP's vocabulary."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = 256 - len(visible)
    return [chr(byte) for byte in visible] + [chr(256 + i) for i in range(hidden)]
