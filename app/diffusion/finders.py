"""What pictures and words mean, as comparable numbers: CLIP, SigLIP, or the cells of a captioner's encoder."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image, UnidentifiedImageError

from app.catalog import ModelEntry
from app.diffusion.alone import folder_of, load_alone, readable
from app.diffusion.machine import choose_device, choose_dtype

LARGEST = 127  # of a number that is kept in a byte
CAPTIONER = "VisionEncoderDecoderModel"


@dataclass(frozen=True)
class Finder:
    """A loaded model. A vector is a signed byte for each number; only vectors of one model can be compared."""

    entry: ModelEntry
    network: Any
    looks: Any  # the image processor
    words: Any  # the tokenizer

    def of_picture(self, file: bytes) -> bytes:
        """The vector of a picture's file; nothing if it cannot be read."""
        try:
            with Image.open(io.BytesIO(file)) as opened:
                picture = opened.convert("RGB")
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError):
            return b""
        values = self.looks(images=picture, return_tensors="pt")["pixel_values"]
        values = values.to(self.network.device, self.network.dtype)
        with torch.no_grad():
            if self.entry.pipeline == CAPTIONER:
                return _bytes_of(_quarters(self.network.encoder(values).last_hidden_state[0]))
            return _bytes_of(_pooled(self.network.get_image_features(pixel_values=values)))

    def of_words(self, text: str) -> bytes:
        """The vector of what is looked for; nothing if the model knows none of the words."""
        with torch.no_grad():
            if self.entry.pipeline == CAPTIONER:
                return self._words_of_captions(text)
            asked = self.words(text, return_tensors="pt", truncation=True, padding="max_length")
            return _bytes_of(_pooled(self.network.get_text_features(**asked.to(self.network.device))))

    def _words_of_captions(self, text: str) -> bytes:
        """A captioner has a direction for each word that it says: see `training/captioner`."""
        ids = self.words(f" {text.lower().strip()}", add_special_tokens=False)["input_ids"]
        known = [each for each in ids if each not in self.words.all_special_ids]
        if not known:
            return b""
        directions = self.network.decoder.get_output_embeddings().weight.float()
        wanted = torch.nn.functional.normalize(directions[known] - directions.mean(0), dim=-1).sum(0)
        return _bytes_of(wanted.repeat(4))


def _quarters(cells: torch.Tensor) -> torch.Tensor:
    """(rows * columns of a square, width) -> the mean of each quarter, one after the other.

    What stands before the cells for the whole picture, as many encoders have it, is left out.
    """
    side = math.isqrt(len(cells))
    grid = cells[-side * side :].view(side, side, -1).permute(2, 0, 1)[None].float()
    return torch.nn.functional.adaptive_avg_pool2d(grid, 2)[0].flatten(1).T.flatten()


def _pooled(features: Any) -> torch.Tensor:
    pooled = getattr(features, "pooler_output", features)[0]
    return pooled if isinstance(pooled, torch.Tensor) else torch.as_tensor(pooled)


def _bytes_of(vector: torch.Tensor) -> bytes:
    """The direction of a vector; its length is not kept."""
    whole = vector.float().cpu()
    scaled = whole * (LARGEST / whole.abs().max().clamp(min=1e-12))
    made: bytes = scaled.round().to(torch.int8).numpy().tobytes()
    return made


class Finders:
    """Keeps the one that was used last. One thread; `loaded` for any."""

    def __init__(self, device: str | torch.device | None = None) -> None:
        self._device = device if isinstance(device, torch.device) else choose_device(device)
        self._last: Finder | None = None

    def load(self, entry: ModelEntry, folder: Path) -> Finder:
        """The model of an entry; free if it was used last. Raises ModelRefused."""
        if self._last is None or self._last.entry != entry:
            self._last = None
            self._last = _load(entry, folder_of(entry, folder), self._device)
        return self._last


def _load(entry: ModelEntry, folder: Path, device: torch.device) -> Finder:
    network = load_alone(entry, folder, device, choose_dtype(device, entry.parameters))
    with readable(entry):
        looks = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        words = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return Finder(entry, network, looks, words)
