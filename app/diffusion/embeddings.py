"""Textual inversion embeddings that prompts name: there for one run, and nobody else's picture changes.

What diffusers' `load_textual_inversion` gives, without its copies: the encoder's table of tokens stays as it is, where
its memory tier keeps it, and a second one beside it answers for the tokens that are new.
"""

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from app.core.errors import ModelRefused
from app.core.prompt_syntax import Prompt
from app.diffusion.kinds import Pipeline
from app.diffusion.prompts import Asked
from app.families import family_of
from app.weights.embeddings import (
    ENDINGS,
    EmbeddingFile,
    embedding_files,
    look_at_embedding,
    names_in,
    pattern_of,
    tensors_of,
)

_ENCODERS = (("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2"))


@dataclass(frozen=True)
class ActiveEmbedding:
    """An embedding that a prompt names. `hash` is A1111's: 12 digits of the file's SHA-256."""

    name: str
    hash: str

    def as_dict(self) -> dict[str, Any]:
        """For the recipe."""
        return vars(self).copy()


class _Extended(torch.nn.Module):  # type: ignore[misc]
    """An encoder's table of tokens, and the vectors of the tokens from `first` on."""

    def __init__(self, own: torch.nn.Module, first: int, vectors: torch.Tensor) -> None:
        super().__init__()
        self.own, self.first = own, first
        self.register_buffer("vectors", vectors, persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        new = ids >= self.first
        known: torch.Tensor = self.own(torch.where(new, 0, ids))
        vectors = self.vectors.to(known.device, known.dtype)
        return torch.where(new[..., None], vectors[(ids - self.first).clamp(min=0)], known)


class Embeddings:
    """The embeddings of one loaded model; `folder` is the models folder. One thread."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    @contextmanager
    def applied(self, pipe: Pipeline, asked: Sequence[Asked]) -> Iterator[list[Asked]]:
        """While open, the pipeline knows the embeddings that these prompts name; they are given back with tokens in the
        place of the names, and with notes about those that this model cannot use. Afterwards it is as it was.

        Raises ModelRefused for one that says it fits and does not.
        """
        files = embedding_files(self.folder) if self.folder else {}
        texts = [text for one in asked for text in (one.prompt.text, one.negative.text)]
        named = list(dict.fromkeys(name for text in texts for name in names_in(text, files)))
        looked = {name: look_at_embedding(name, files[name]) for name in named}
        usable = {name: found for name, found in looked.items() if found.fits(type(pipe).__name__)}
        notes = {name: _why_not(found) for name, found in looked.items() if name not in usable}
        if not usable:
            yield [_with(one, {}, {}, notes) for one in asked]
            return
        active = {name: ActiveEmbedding(name, _hash(found.file)) for name, found in usable.items()}
        tokens = {name: [f"<ti-{active[name].hash}-{i}>" for i in range(usable[name].vectors)] for name in usable}
        own = [(part, getattr(pipe, part)) for part in ("tokenizer", "tokenizer_2") if hasattr(pipe, part)]
        tables: list[tuple[Any, Any]] = []
        try:
            for place in range(family_of(type(pipe).__name__).clip_encoders):
                _extend(pipe, place, usable, tokens, tables)
            yield [_with(one, tokens, active, notes) for one in asked]
        finally:
            for encoder, table in tables:
                encoder.set_input_embeddings(table)
            for part, tokenizer in own:
                setattr(pipe, part, tokenizer)


def _extend(
    pipe: Pipeline,
    place: int,
    usable: Mapping[str, EmbeddingFile],
    tokens: Mapping[str, list[str]],
    tables: list[tuple[Any, Any]],
) -> None:
    part, name_of_encoder = _ENCODERS[place]
    encoder, tokenizer = getattr(pipe, name_of_encoder), copy.deepcopy(getattr(pipe, part))
    table, width = encoder.get_input_embeddings(), encoder.config.hidden_size
    first, vectors = len(tokenizer), []
    for name, found in usable.items():
        vector = _vectors(found, place)
        if tuple(vector.shape) != (found.vectors, width):
            raise ModelRefused(f"The embedding {name} has {vector.shape[-1]} numbers a vector, this model {width}.")
        vectors.append(vector)
        tokenizer.add_tokens(tokens[name])
    tables.append((encoder, table))
    encoder.set_input_embeddings(_Extended(table, first, torch.cat(vectors)))
    setattr(pipe, part, tokenizer)


def _vectors(found: EmbeddingFile, place: int) -> torch.Tensor:
    """The vectors for one encoder. Nothing but tensors is ever made of a pickle."""
    try:
        safe = found.file.suffix == ENDINGS[0]
        table = load_file(found.file) if safe else torch.load(found.file, map_location="cpu", weights_only=True)
        tensor = list(tensors_of(table).values())[place]
        return tensor.detach().reshape(-1, tensor.shape[-1]).to("cpu")
    except Exception as error:  # noqa: BLE001  whatever is in the file: both libraries raise anything
        raise ModelRefused(f"The embedding {found.name} could not be read: {type(error).__name__}: {error}") from None


def _with(
    asked: Asked, tokens: Mapping[str, list[str]], active: Mapping[str, ActiveEmbedding], notes: Mapping[str, str]
) -> Asked:
    """The prompts with tokens for the names in them."""
    both = f"{asked.prompt.text}\n{asked.negative.text}"
    said = tuple(notes[name] for name in names_in(both, notes))
    used = tuple(active[name].as_dict() for name in names_in(both, active))
    if not used:
        return replace(asked, notes=said) if said else asked
    prompt, negative = (Prompt(_told(one.text, tokens), one.loras) for one in (asked.prompt, asked.negative))
    return replace(asked, prompt=prompt, negative=negative, notes=said, embeddings=used)


def _told(text: str, tokens: Mapping[str, list[str]]) -> str:
    by_name = {name.lower(): " ".join(listed) for name, listed in tokens.items()}
    pattern = pattern_of(tokens)
    return pattern.sub(lambda found: by_name[found[0].lower()], text) if pattern else text


def _why_not(found: EmbeddingFile) -> str:
    if found.refused:
        return f"the embedding {found.name} cannot be used, and was read as words: {found.refused}"
    whose = f"is for {found.family}" if found.family else "is for another kind of model"
    return f"the embedding {found.name} {whose}, and was read as words"


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:12]
