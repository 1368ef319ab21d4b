"""Models that say what a picture shows: captioners, BLIP and the Qwen-VL family, by transformers."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image

from app.catalog import ModelEntry
from app.core.errors import ModelRefused
from app.diffusion.alone import folder_of, load_alone, readable
from app.diffusion.machine import choose_device, choose_dtype

MAX_PIXELS = 1024 * 1024  # a larger picture is looked at in this size: each 28 x 28 pixels of one are a word to read
CAPTION_TOKENS, ANSWER_TOKENS = 60, 240
QUESTIONS = {
    "en": "Describe this picture in one or two sentences.",
    "zh": "用一两句话描述这张图片。",
}
# The form of a talk in which every Qwen-VL was trained.
QWEN_IMAGE = "<|image_pad|>"
QWEN_TALK = (
    "<|im_start|>user\n<|vision_start|>{image}<|vision_end|>{question}<|im_end|>\n<|im_start|>assistant\n"
)  # fmt: skip
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Describer:
    """A loaded model and what prepares pictures and words for it."""

    entry: ModelEntry
    network: Any
    looks: Any  # the image processor
    words: Any  # the tokenizer

    def describe(self, picture: Image.Image, question: str, language: str, told: Told) -> str:
        """What the RGB picture shows, in `language` (en or zh). `told` hears how many tokens there are of at most how
        many, and may raise.

        Always the same words for the same pixels. Raises ModelRefused for a language that the model does not speak.
        """
        small = picture
        if picture.width * picture.height > MAX_PIXELS:
            share = math.sqrt(MAX_PIXELS / (picture.width * picture.height))
            small = picture.resize((max(1, int(picture.width * share)), max(1, int(picture.height * share))))
        seen = self.looks(images=small, return_tensors="pt")
        if self.entry.pipeline == "VisionEncoderDecoderModel":
            return self._caption(seen, language, told)
        if self.entry.pipeline == "BlipForConditionalGeneration":
            begun = self.words(question, return_tensors="pt", return_token_type_ids=False) if question else {}
            return self._said({**seen, **begun}, CAPTION_TOKENS, 0, told)
        return self._answer(seen, question or QUESTIONS[language], told)

    def _caption(self, seen: Any, language: str, told: Told) -> str:
        start = self.words.convert_tokens_to_ids(f"<{language}>")
        knows = start is not None and start != self.words.unk_token_id
        if not knows and language != "en":
            raise ModelRefused(f"{self.entry.key} has no word for the language {language!r}.")
        begins = {"decoder_start_token_id": start} if knows else {}
        return self._said({"pixel_values": seen["pixel_values"], **begins}, CAPTION_TOKENS, 0, told)

    def _answer(self, seen: Any, question: str, told: Told) -> str:
        merged = int(seen["image_grid_thw"][0].prod()) // self.looks.merge_size**2
        plain = question.replace("<|", "< |")  # what is asked opens no talk of its own
        asked = self.words(QWEN_TALK.format(image=QWEN_IMAGE * merged, question=plain), return_tensors="pt")
        place = self.words.convert_tokens_to_ids(QWEN_IMAGE)
        asked["mm_token_type_ids"] = (asked["input_ids"] == place).int()
        return self._said({**seen, **asked}, ANSWER_TOKENS, asked["input_ids"].shape[1], told)

    def _said(self, given: dict[str, Any], most: int, before: int, told: Told) -> str:
        """What is generated after `before` tokens, as text."""
        device, dtype = self.network.device, self.network.dtype
        inputs = {
            name: value.to(device, dtype if value.is_floating_point() else None) if torch.is_tensor(value) else value
            for name, value in given.items()
        }
        room = getattr(self.network.config.get_text_config(decoder=True), "n_positions", None) or most
        most = min(most, room - 1)
        told(0, most)
        with torch.no_grad():  # how many sentences are followed at once stands in the model's generation_config.json
            ids = self.network.generate(
                **inputs, max_new_tokens=most, do_sample=False, stopping_criteria=[_Telling(told, most)]
            )
        text: str = self.words.decode(ids[0][before:], skip_special_tokens=True)
        return " ".join(text.split())


class _Telling:
    """Tells each token; what that raises ends the generation. See `transformers.StoppingCriteria`."""

    def __init__(self, told: Told, most: int) -> None:
        self._told, self._most, self._done = told, most, 0

    def __call__(self, input_ids: torch.Tensor, _scores: Any, **_more: Any) -> torch.Tensor:
        self._done = min(self._done + 1, self._most)
        self._told(self._done, self._most)
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


class Describers:
    """Keeps the one that was used last. One thread; `loaded` for any."""

    def __init__(self, device: str | torch.device | None = None) -> None:
        self._device = device if isinstance(device, torch.device) else choose_device(device)
        self._last: Describer | None = None

    def load(self, entry: ModelEntry, folder: Path) -> Describer:
        """The model of an entry; free if it was used last. Raises ModelRefused."""
        if self._last is None or self._last.entry != entry:
            self._last = None
            self._last = _load(entry, folder_of(entry, folder), self._device)
        return self._last

    def unload(self, key: str) -> bool:
        """Free its memory. False if it was not loaded."""
        was_loaded = key in self.loaded()
        if was_loaded:
            self._last = None
        return was_loaded

    def loaded(self) -> tuple[str, ...]:
        """The key of the one that is loaded."""
        last = self._last
        return (last.entry.key,) if last else ()


def _load(entry: ModelEntry, folder: Path, device: torch.device) -> Describer:
    network = load_alone(entry, folder, device, choose_dtype(device, entry.parameters))
    with readable(entry):
        looks = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        words = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return Describer(entry, network, looks, words)
