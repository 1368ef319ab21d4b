"""Textual inversion embeddings of the models folder: which there are, for which family, and where a prompt names them.

As A1111 has them: the name of the file, without its ending, is the word.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import ModelRefused
from app.core.names import is_clean
from app.families import LORA_SD1, LORA_SD2, LORA_SDXL, family_of
from app.weights.header import read_header
from app.weights.torch_zip import Shape, read_shapes

EMBEDDING_FOLDER = "embeddings"
ENDINGS = (".safetensors", ".pt", ".bin")
MAX_VECTORS = 75  # what a chunk of a prompt holds
CLIP_L, CLIP_G = "clip_l", "clip_g"  # the names of SDXL's two encoders in such a file
A1111_TABLE, A1111_TENSOR = "string_to_param", "*"
_WIDTHS: Mapping[int, str] = {768: LORA_SD1, 1024: LORA_SD2}


@dataclass(frozen=True)
class EmbeddingFile:
    """One embedding: the width of each encoder's vectors and how many there are, or why it cannot be used."""

    name: str
    file: Path
    vectors: int = 0
    widths: tuple[int, ...] = ()
    family: str | None = None
    refused: str | None = None

    def fits(self, pipeline: str) -> bool:
        """True if a model of this class could use it, as far as the file tells."""
        family = family_of(pipeline)
        known = self.family is None or self.family in (family.loras or ())
        return self.refused is None and len(self.widths) == family.clip_encoders and known


def embedding_files(models_folder: Path) -> dict[str, Path]:
    """Name → file, folders inside included; of two with one name, the first. Never raises."""
    files = [
        Path(folder, name)
        for folder, _, names in os.walk(models_folder / EMBEDDING_FOLDER)  # passes over what it may not read
        for name in names
        if name.endswith(ENDINGS) and not name.startswith(".") and is_clean(name)
    ]
    found: dict[str, Path] = {}
    for file in sorted(files):
        if file.is_file():
            found.setdefault(file.stem, file)
    return found


def look_at_embedding(name: str, file: Path) -> EmbeddingFile:
    """What an embedding's file says about itself. Never raises."""
    try:
        shapes = _shapes(file)
        rows = [(1, *sides) if len(sides) == 1 else sides for sides in shapes.values()]
        if not rows or any(len(row) != 2 for row in rows) or len({row[0] for row in rows}) != 1:
            raise ModelRefused(f"{file.name} is no embedding.")
        if not 1 <= rows[0][0] <= MAX_VECTORS:
            raise ModelRefused(f"{file.name} has {rows[0][0]} vectors; allowed is 1 to {MAX_VECTORS}.")
    except ModelRefused as error:
        return EmbeddingFile(name, file, refused=error.message)
    except OSError as error:
        return EmbeddingFile(name, file, refused=f"{file.name} cannot be read: {error.strerror}.")
    family = LORA_SDXL if len(rows) > 1 else _WIDTHS.get(rows[0][1])
    return EmbeddingFile(name, file, rows[0][0], tuple(row[1] for row in rows), family)


def tensors_of(table: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a file holds, the tensors of the encoders in their order: A1111's table, one tensor, or SDXL's two."""
    inner = table.get(A1111_TABLE)
    if isinstance(inner, Mapping):
        return {A1111_TENSOR: inner[A1111_TENSOR]} if A1111_TENSOR in inner else {}
    if set(table) == {CLIP_L, CLIP_G}:
        return {name: table[name] for name in (CLIP_L, CLIP_G)}
    return dict(table) if len(table) == 1 else {}


def names_in(text: str, names: Iterable[str]) -> list[str]:
    """Those of the names that stand in the text as words, whatever their case; longer ones go before their parts."""
    pattern = pattern_of(names)
    known = {name.lower(): name for name in names}
    return list(dict.fromkeys(known[found[0].lower()] for found in pattern.finditer(text))) if pattern else []


def pattern_of(names: Iterable[str]) -> re.Pattern[str] | None:
    """Where one of the names stands in a text; None if there are none."""
    listed = sorted(names, key=len, reverse=True)
    either = "|".join(map(re.escape, listed))
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE) if listed else None


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    if file.suffix == ENDINGS[0]:
        return {name: tuple(sides) for name, sides in tensors_of(read_header(file).shapes).items()}
    found = tensors_of(read_shapes(file))
    return {name: shape.sides for name, shape in found.items() if isinstance(shape, Shape)}
