"""Prompts to pipeline arguments, and what a model could not take in of them."""

import inspect
from typing import Any

from app.diffusion.kinds import Pipeline


def text_arguments(pipe: Pipeline, prompts: list[str], negatives: list[str], guidance: float) -> dict[str, Any]:
    """The text part of a pipeline call for a batch of rows."""
    known = inspect.signature(pipe.__call__).parameters
    arguments: dict[str, Any] = {"prompt": prompts}
    if guidance > 1 and "negative_prompt" in known:
        arguments["negative_prompt"] = negatives
    return arguments


def prompt_notes(pipe: Pipeline, prompt: str, negative: str, guidance: float) -> list[str]:
    """What the picture's owner should know: words that did not fit, a negative prompt that could not work."""
    notes = []
    for name, text in (("prompt", prompt), ("negative prompt", negative if guidance > 1 else "")):
        lost = _lost_tokens(pipe, text)
        if lost:
            notes.append(f"the {name} is too long for this model: its last {lost} tokens were not used")
    if negative and guidance <= 1:
        notes.append("the negative prompt has no effect without guidance (guidance_scale above 1)")
    return notes


def _lost_tokens(pipe: Pipeline, text: str) -> int:
    tokenizer = getattr(pipe, "tokenizer", None)
    if not text or tokenizer is None or getattr(tokenizer, "model_max_length", 10**9) > 4096:
        return 0
    ids = tokenizer(text, truncation=False, verbose=False).input_ids
    return max(0, len(ids) - tokenizer.model_max_length)
