"""Prompts to pipeline arguments, and what a model could not take in of them."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from app.core.errors import FieldError, InvalidRequest
from app.core.prompt_syntax import Prompt
from app.core.schema import GenerationRequest
from app.diffusion import clip_chunks
from app.diffusion.guidance import guidance_arguments, guidance_notes, guidance_of, takes_negative
from app.diffusion.kinds import Pipeline
from app.diffusion.prompt_cache import PromptCache
from app.diffusion.taken_out import taken_out, takes_out
from app.diffusion.word_room import fitting, word_room
from app.diffusion.wordless import own_prompt
from app.families import Family, family_of

_NOTHING = Prompt("")


@dataclass(frozen=True)
class Asked:
    """A request whose prompts are read, once for all that ask about them.

    `embeddings` are those that its prompts name, as the recipe has them, `notes` what is to be said of others.
    """

    request: GenerationRequest
    prompt: Prompt
    negative: Prompt
    embeddings: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


def read(request: GenerationRequest) -> Asked:
    """Read the prompts of a request. Raises InvalidRequest for LoRA tags that are none."""
    try:
        prompt = Prompt.read(request.prompt)
    except ValueError as error:
        raise InvalidRequest([FieldError("prompt", request.prompt, str(error))]) from None
    return Asked(request, prompt, Prompt(request.negative_prompt))


def pass_key(pipe: Pipeline, asked: Asked) -> tuple[bool, int]:
    """Equal for requests that can go through one pass without changing each other: see `text_arguments`."""
    prompt, negative = _read_by(pipe, asked)
    if not clip_chunks.can_weigh(pipe):
        return bool(texts(pipe, asked)[1]), 0
    chunks = clip_chunks.chunk_count(pipe, [prompt, negative])
    # Leaving layers out is done here too: diffusers 0.42 looks for them where transformers 5 no longer has them.
    return bool(negative.text), max(chunks, 1) if asked.request.clip_skip else chunks


def texts(pipe: Pipeline, asked: Asked) -> tuple[str, str]:
    """Prompt and negative prompt as this model gets them: no LoRA tags, no weights where it knows none, and for some
    models the prompt without what the negative one names, or one of their own in the place of an empty one."""
    prompt, negative, _ = _told(pipe, asked)
    return prompt, negative


def _told(pipe: Pipeline, asked: Asked) -> tuple[str, str, list[str]]:
    """The same, and the words that were taken out of the prompt."""
    prompt, negative = (_fitting(pipe, one) for one in _read_by(pipe, asked))
    tokenizer = getattr(pipe, "tokenizer", None)
    prompt = _own(pipe, asked, prompt) or prompt
    if negative and takes_out(tokenizer):
        left, words = taken_out(tokenizer, prompt, negative)
        return left, "", words
    return prompt, negative, []


def _own(pipe: Pipeline, asked: Asked, prompt: str) -> str | None:
    """What the model draws where nothing is asked for; None where something is, or it has nothing of its own."""
    return None if prompt.strip() else own_prompt(getattr(pipe, "tokenizer", None), asked.request.seed)


def _fitting(pipe: Pipeline, prompt: Prompt) -> str:
    return fitting(getattr(pipe, "tokenizer", None), _words(pipe, prompt))


def _words(pipe: Pipeline, prompt: Prompt) -> str:
    """The same before what has no room is cut off."""
    return prompt.text if clip_chunks.can_weigh(pipe) else prompt.plain_words


def _read_by(pipe: Pipeline, asked: Asked) -> tuple[Prompt, Prompt]:
    """Prompt and negative prompt, the latter empty where it has no effect."""
    takes = takes_negative(pipe, asked.request.guidance_scale or 0.0)
    return asked.prompt, asked.negative if takes else _NOTHING


def text_arguments(pipe: Pipeline, rows: Sequence[Asked], cache: PromptCache, state: Any = None) -> dict[str, Any]:
    """Prompts and guidance of a pipeline call for a batch of rows that share a `pass_key`.

    Bare words that fit go to the pipeline as they are, so their pictures are those of a plain diffusers call; longer
    or weighted ones are encoded here. `state` names what else the encoding depends on.
    """
    request = rows[0].request
    scale = request.guidance_scale or 0.0
    arguments = guidance_arguments(pipe, scale)
    _, chunks = pass_key(pipe, rows[0])
    if chunks:
        clip_chunks.check_skip(pipe, request.clip_skip)
        read_rows = [_read_by(pipe, asked) for asked in rows]
        return arguments | _encoded(pipe, read_rows, chunks, request.clip_skip, scale, cache, state)
    words = [texts(pipe, asked) for asked in rows]
    arguments["prompt"] = [prompt for prompt, _ in words]
    empty = guidance_of(pipe).empty
    # An empty negative prompt is left out: SDXL then guides against zeros, as it was trained.
    if takes_negative(pipe, scale) and (words[0][1] or empty is not None):
        arguments["negative_prompt"] = [negative or empty for _, negative in words]
    longest = _family(pipe).prompt_tokens
    if longest is not None:
        arguments["max_sequence_length"] = longest
    return arguments


def _encoded(
    pipe: Pipeline,
    rows: Sequence[tuple[Prompt, Prompt]],
    chunks: int,
    skip: int,
    scale: float,
    cache: PromptCache,
    state: Any,
) -> dict[str, Any]:
    guided = takes_negative(pipe, scale)

    def embeddings(prompt: Prompt, negative: Prompt) -> dict[str, torch.Tensor]:
        made = _named(clip_chunks.encode(pipe, prompt, chunks, skip))
        if not guided:
            return made
        if not negative.text and pipe.config.get("force_zeros_for_empty_prompt"):
            return made | {f"negative_{name}": torch.zeros_like(value) for name, value in made.items()}
        other = _named(clip_chunks.encode(pipe, negative, chunks, skip))
        return made | {f"negative_{name}": value for name, value in other.items()}

    made = []
    for prompt, negative in rows:
        key = (state, chunks, skip, guided, (prompt.text, negative.text))
        made.append(cache.get(key, partial(embeddings, prompt, negative)))
    return {name: torch.cat([row[name] for row in made]) for name in made[0]}


def _named(made: tuple[torch.Tensor, torch.Tensor | None]) -> dict[str, torch.Tensor]:
    states, pooled = made
    return {"prompt_embeds": states} | ({} if pooled is None else {"pooled_prompt_embeds": pooled})


def prompt_notes(pipe: Pipeline, asked: Asked) -> list[str]:
    """What the picture's owner should know: words that did not fit, weights and a negative prompt without effect."""
    prompt, negative = _read_by(pipe, asked)
    notes = list(asked.notes)
    if not clip_chunks.can_weigh(pipe):
        for name, read_one in (("prompt", prompt), ("negative prompt", negative)):
            notes += _length_notes(pipe, name, _words(pipe, read_one))
        if prompt.has_weights or negative.has_weights:
            notes.append("weights have no effect with this model: (word:1.2) was read as word, other brackets as text")
        if own := _own(pipe, asked, _words(pipe, prompt)):
            notes.append(f"the prompt is empty: this model drew one of its own, {own}")
        if taken := _told(pipe, asked)[2]:
            notes.append(f"taken out of the prompt, as the negative prompt names it: {', '.join(taken)}")
    return notes + guidance_notes(pipe, asked.negative.text, asked.request.guidance_scale or 0.0)


def _length_notes(pipe: Pipeline, name: str, text: str) -> list[str]:
    """The main encoder is the one that reads the longest texts; a shorter one beside it sees the beginning only."""
    limits = _limits(pipe)
    if not text or not limits:
        return []
    most = max(limit for _, limit in limits)
    notes = []
    for tokenizer, limit in limits:
        count = len(tokenizer(_as_read(pipe, text), truncation=False, verbose=False).input_ids)
        if count <= limit:
            continue
        if limit == most:
            notes.append(f"truncated: the {name} has {count} tokens, this model reads {limit}; the rest was not used")
        else:
            notes.append(f"one of this model's text encoders reads {limit} of the {count} tokens of the {name}")
    return notes


def _as_read(pipe: Pipeline, text: str) -> str:
    """The text as it is cut: some limits count the words of a chat template too."""
    template, told = _family(pipe).chat_template, getattr(pipe, "system_message", None)
    if told is not None:
        said = [{"role": role, "content": [{"type": "text", "text": words}]}
                for role, words in (("system", told), ("user", text))]  # fmt: skip
        return str(pipe.tokenizer.apply_chat_template(said, tokenize=False))
    if template is None:
        return text
    message = [{"role": "user", "content": text}]
    return str(pipe.tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True, **template))


def _limits(pipe: Pipeline) -> list[tuple[Any, int]]:
    """Each tokenizer of a pipeline and how many tokens of it are used."""
    tokenizers = [getattr(pipe, name, None) for name in ("tokenizer", "tokenizer_2", "tokenizer_3")]
    # A processor has its tokenizer inside; what a tokenizer may have inside is not asked.
    found = [
        tokenizer if hasattr(tokenizer, "model_max_length") else tokenizer.tokenizer
        for tokenizer in tokenizers
        if callable(tokenizer)
    ]
    asked = (
        _family(pipe).prompt_tokens
        or _default(pipe.__call__, "max_sequence_length")
        or _default(pipe.encode_prompt, "max_sequence_length")
    )
    # The length in the call is for the encoder of whole sentences, the last one; CLIP beside it has its own.
    own = [word_room(tokenizer) or min(int(tokenizer.model_max_length), 2**20) for tokenizer in found]
    limits = [asked or limit if i == len(found) - 1 else limit for i, limit in enumerate(own)]
    return [(tokenizer, limit) for tokenizer, limit in zip(found, limits, strict=True) if limit < 2**20]


def _family(pipe: Pipeline) -> Family:
    return family_of(type(pipe).__name__)


def _default(function: Any, name: str) -> int | None:
    parameter = inspect.signature(function).parameters.get(name)
    return parameter.default if parameter and isinstance(parameter.default, int) else None
