"""Long and weighted prompts for models that read with CLIP: chunks of what its encoder holds, words that count more.

As A1111 1.10 does it (`modules/sd_hijack_clip.py`, `modules/sd_emphasis.py`, "Original"), so that a prompt from there
means the same here: chunks are cut at a comma if one is near, encoded alone and laid side by side; a token's output is
multiplied with its weight, and then all of them so that their mean stays. Not by compel, whose weights blend with an
empty prompt and give another picture for the same words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.utils.torch_utils import get_module_execution_device

from app.core.errors import FieldError, InvalidRequest
from app.core.prompt_syntax import Prompt
from app.diffusion.kinds import Pipeline
from app.diffusion.word_room import word_room
from app.families import family_of

COMMA_REACH = 20  # a chunk ends at its last comma if that is at most so many tokens back
# The mean is A1111's measure of how loud the encoder is. Where it is next to zero it measures nothing, and a ratio of
# two such means would turn the picture upside down.
MEAN_RATIOS = (0.5, 2.0)


@dataclass
class Chunk:
    """What one run of an encoder reads, without begin, end and padding; `weights` has one for each token."""

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)


def can_weigh(pipe: Pipeline) -> bool:
    """True for the pipelines whose prompts are cut and weighed here."""
    return _encoders(pipe) > 0 and word_room(pipe.tokenizer) is None


def chunk_count(pipe: Pipeline, prompts: Sequence[Prompt]) -> int:
    """Chunks that the longest of the prompts takes; 0 if all are bare words that fit, and nothing is to be done."""
    made = [_chunks(pipe.tokenizer, prompt) for prompt in prompts]
    most = max(len(chunks) for chunks in made)
    return 0 if most == 1 and all(prompt.is_plain for prompt in prompts) else most


def encode(pipe: Pipeline, prompt: Prompt, chunks: int, skip: int = 0) -> tuple[torch.Tensor, torch.Tensor | None]:
    """One prompt as `chunks` chunks: states [1, chunks × length, width], and SDXL's pooled state of the first chunk.

    `skip` last layers of the encoders are left out, as diffusers' `clip_skip` does.
    """
    if _encoders(pipe) == 1:
        if not skip:
            return _encode(pipe.text_encoder, pipe.tokenizer, prompt, chunks, layer=None)[0], None
        return _encode(pipe.text_encoder, pipe.tokenizer, prompt, chunks, layer=-1 - skip, normed=True)[0], None
    first, _ = _encode(pipe.text_encoder, pipe.tokenizer, prompt, chunks, layer=-2 - skip)
    second, pooled = _encode(pipe.text_encoder_2, pipe.tokenizer_2, prompt, chunks, layer=-2 - skip)
    return torch.cat([first, second], dim=-1), pooled


def _encoders(pipe: Pipeline) -> int:
    return family_of(type(pipe).__name__).clip_encoders


def _chunks(tokenizer: Any, prompt: Prompt) -> list[Chunk]:
    room = tokenizer.model_max_length - 2
    comma = tokenizer.get_vocab().get(",</w>")
    done: list[Chunk] = []
    now, last_comma = Chunk(), -1
    for fragment in prompt.fragments:
        if fragment.starts_chunk:
            done.append(now)
            now, last_comma = Chunk(), -1
        for token in tokenizer(fragment.text, truncation=False, add_special_tokens=False, verbose=False).input_ids:
            if len(now.ids) == room:
                rest = Chunk()
                if token != comma and last_comma >= 0 and room - last_comma <= COMMA_REACH:
                    cut = last_comma + 1
                    rest = Chunk(now.ids[cut:], now.weights[cut:])
                    now = Chunk(now.ids[:cut], now.weights[:cut])
                done.append(now)
                now, last_comma = rest, -1
            if token == comma:
                last_comma = len(now.ids)
            now.ids.append(token)
            now.weights.append(fragment.weight)
    return [*done, now] if now.ids or not done else done


@torch.no_grad()
def _encode(
    encoder: Any, tokenizer: Any, prompt: Prompt, count: int, *, layer: int | None, normed: bool = False
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """States of one encoder, and what it pools of the first chunk (None if it pools nothing)."""
    chunks = _chunks(tokenizer, prompt)
    chunks += [Chunk() for _ in range(count - len(chunks))]
    states, pooled = [], None
    for chunk in chunks:
        ids, weights = _padded(tokenizer, chunk)
        options: dict[str, Any] = {}
        if getattr(encoder.config, "use_attention_mask", False):
            options["attention_mask"] = _mask(ids, len(chunk.ids) + 2)
        device = get_module_execution_device(encoder)
        options = {name: value.to(device) for name, value in options.items()}
        out = encoder(ids.to(device), output_hidden_states=layer is not None, **options)
        if pooled is None and layer is not None and out[0].ndim == 2:
            pooled = out[0]
        states.append(_weighed(out[0] if layer is None else _inner(encoder, out, layer, normed), weights))
    return torch.cat(states, dim=1).to(encoder.dtype), pooled


def _inner(encoder: Any, out: Any, layer: int, normed: bool) -> torch.Tensor:
    """The states of an inner layer; `normed`: through the encoder's last norm, as Stable Diffusion 1 and 2 read it."""
    states: torch.Tensor = out.hidden_states[layer]
    return getattr(encoder, "text_model", encoder).final_layer_norm(states) if normed else states


def check_skip(pipe: Pipeline, skip: int) -> None:
    """Raises InvalidRequest if `skip` layers are more than the pipeline's CLIP encoders can leave out."""
    encoders: list[Any] = [getattr(pipe, name, None) for name in ("text_encoder", "text_encoder_2")]
    layers = [part.config.num_hidden_layers for part in encoders if type(part).__name__.startswith("CLIPText")]
    most = min(layers, default=1) - 1
    if skip > most:
        raise InvalidRequest([FieldError("clip_skip", skip, f"allowed is 0 to {most} with this model")])


def _padded(tokenizer: Any, chunk: Chunk) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids [1, length] and weights [length] of a chunk as the encoder reads it."""
    missing = tokenizer.model_max_length - 2 - len(chunk.ids)
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    ids = [tokenizer.bos_token_id, *chunk.ids, tokenizer.eos_token_id, *[pad] * missing]
    return torch.tensor([ids]), torch.tensor([1.0, *chunk.weights, *[1.0] * (missing + 1)])


def _mask(ids: torch.Tensor, used: int) -> torch.Tensor:
    mask = torch.zeros_like(ids)
    mask[:, :used] = 1
    return mask


def _weighed(states: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    if bool((weights == 1.0).all()):
        return states
    plain = states.float()
    weighed = plain * weights.to(plain.device)[None, :, None]
    ratio = float(plain.mean() / weighed.mean())
    low, high = MEAN_RATIOS
    return (weighed * ratio if low <= ratio <= high else weighed).to(states.dtype)
