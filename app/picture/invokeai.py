"""InvokeAI's recipes: `invokeai_metadata` (3 and later), and before that `sd-metadata` (1.15 to 2) or the `Dream` line.

Sources: InvokeAI's `app/invocations/metadata.py` and the old `ldm/invoke/pngwriter.py`. In a prompt of the old kinds
the words in [square brackets] are the negative prompt.
"""

import re
import shlex
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from app.picture.found import Found, found, loads, number
from app.picture.sampler_names import of_invokeai

METADATA, OLD, OLDEST = "invokeai_metadata", "sd-metadata", ("Dream", "dream")
_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")
_MOST_LINE_CHARS = 64 * 1024
_SWITCHES = {"-s": "steps", "-S": "seed", "-W": "width", "-H": "height", "-C": "cfg_scale", "-A": "sampler"}


def read(texts: Mapping[str, str]) -> Found | None:
    """What the texts of a file say; None if none of InvokeAI's can be read."""
    if said := loads(texts.get(METADATA, "")):
        prompts = said.get("positive_prompt"), said.get("negative_prompt")
        return _found(said, *prompts, said.get("scheduler"), _model(said.get("model")))
    old = loads(texts.get(OLD, ""))
    if isinstance(image := old.get("image"), dict):
        prompts = _parted(_joined(image.get("prompt")))
        return _found(image, *prompts, image.get("sampler"), old.get("model_weights"))
    line = next((texts[name] for name in OLDEST if name in texts), "")
    return _of_line(line)


def _found(said: Mapping[str, Any], prompt: object, negative: object, sampler: object, model: object) -> Found:
    skipped = number(said.get("clip_skip"), int)
    return found(
        {
            "prompt": prompt if isinstance(prompt, str) else None,
            "negative_prompt": negative if isinstance(negative, str) and negative else None,
            "num_inference_steps": number(said.get("steps"), int),
            "guidance_scale": number(said.get("cfg_scale"), float),
            "width": number(said.get("width"), int),
            "height": number(said.get("height"), int),
            "seed": number(said.get("seed"), int),
            "scheduler": of_invokeai(sampler),
            "clip_skip": skipped or None,
        },
        model,
    )


def _model(said: object) -> object:
    """Its name: `model_name` in version 3, `name` since version 4."""
    return (said.get("name") or said.get("model_name")) if isinstance(said, dict) else said


def _joined(prompt: object) -> str:
    """A text, or a list of texts with weights."""
    if isinstance(prompt, list):
        return " ".join(str(part.get("prompt", "")) for part in prompt if isinstance(part, dict))
    return prompt if isinstance(prompt, str) else ""


def _parted(prompt: str) -> tuple[str, str]:
    """The prompt and what it says in brackets."""
    negative = ", ".join(part.strip() for part in _NEGATIVE.findall(prompt) if part.strip())
    return _NEGATIVE.sub("", prompt).strip(), negative


def _of_line(line: str) -> Found | None:
    """`"a cat [a dog]" -s 50 -S 123 -W 512 -H 512 -C 7.5 -A k_lms`."""
    if len(line) > _MOST_LINE_CHARS:
        return None
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if not words:
        return None
    said = {_SWITCHES[word]: value for word, value in pairwise(words[1:]) if word in _SWITCHES}
    joined = {_SWITCHES[word[:2]]: word[2:] for word in words[1:] if word[:2] in _SWITCHES and len(word) > 2}
    said = {**joined, **said}
    return _found(said, *_parted(words[0]), said.get("sampler"), "")
