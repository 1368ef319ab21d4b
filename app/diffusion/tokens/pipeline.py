"""Janus as a pipeline of diffusers: the same call, parts and hooks as its neighbours, so that all that lays pipelines
out in memory, watches them and tells of them works for it, too."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput
from transformers import StaticCache

from app.diffusion.tokens.modules import TokenDecoder, TokenDrawer
from app.diffusion.tokens.previews import TokenPreviews
from app.diffusion.tokens.sampling import Sampling

# As `convert_janus_weights_to_hf.py` of transformers has it for every model of the family.
ASKED = "<|User|>: {prompt}\n\n<|Assistant|>:"
MAX_PROMPT_TOKENS = 4096
NO_EFFECT = "{name} has no effect with this model"
OnStep = Callable[[Any, int, Any, dict[str, Any]], Any]


class JanusPipeline(DiffusionPipeline):  # type: ignore[misc]
    """Draws one picture in a call: two in one pass would not be the same pictures, bit for bit, as each alone.

    `special`: ids of the tokens that begin a text (`bos`), begin a picture (`boi`) and stand for nothing (`pad`).
    """

    model_cpu_offload_seq = "transformer->vae"
    scheduler = None

    def __init__(
        self, tokenizer: Any, transformer: TokenDrawer, vae: TokenDecoder, special: dict[str, int] | None = None
    ) -> None:
        super().__init__()
        self.register_modules(tokenizer=tokenizer, transformer=transformer, vae=vae)
        self.special = special or {}
        self.side = vae.side
        self.num_timesteps = vae.width**2
        self.preview_fit = TokenPreviews(self)
        self.how: dict[str, Any] = {}
        self.notes: list[str] = []

    def encode_prompt(self, prompt: str, max_sequence_length: int = MAX_PROMPT_TOKENS) -> torch.Tensor:
        """The ids of the whole question, [1, length]; of the prompt its first `max_sequence_length` tokens."""
        read = self.tokenizer(prompt, truncation=True, max_length=max_sequence_length, return_offsets_mapping=True)
        if len(read.input_ids) == max_sequence_length:
            prompt = prompt[: read.offset_mapping[-1][1]]
        ids = self.tokenizer(ASKED.format(prompt=prompt)).input_ids
        return torch.tensor([[*ids, self.special["boi"]]])

    @torch.no_grad()
    def __call__(
        self,
        prompt: Sequence[str],
        generator: Sequence[torch.Generator],
        num_inference_steps: int | None = None,
        width: int | None = None,
        height: int | None = None,
        condition_scale: float = 5.0,
        top_k: int = 0,
        top_p: float = 1.0,
        temperature: float = 1.0,
        max_sequence_length: int = MAX_PROMPT_TOKENS,
        callback_on_step_end: OnStep | None = None,
        output_type: str = "pt",
    ) -> ImagePipelineOutput:
        """The picture as [1, 3, h, w] from 0 to 1, whatever `output_type`.

        After each token the callback hears of all so far. A picture has its own size and number of tokens. Raises
        ValueError for more than one prompt and for another size.
        """
        [words], [noise] = prompt, generator
        if (width or self.side, height or self.side) != (self.side, self.side):
            raise ValueError(f"it draws {self.side}x{self.side} and nothing else")
        sampling = Sampling(condition_scale, top_k, top_p, temperature)
        self.how = {"sampled": sampling.told(), "tokens": self.num_timesteps}
        steps = num_inference_steps or self.num_timesteps
        self.notes = [NO_EFFECT.format(name="num_inference_steps")] if steps != self.num_timesteps else []
        question = self.encode_prompt(words, max_sequence_length)
        tokens = self._drawn(question, sampling, noise, callback_on_step_end or (lambda *_told: None))
        pixels = self.vae.decode(tokens[None].to(self._execution_device)).sample
        self.maybe_free_model_hooks()
        return ImagePipelineOutput(images=(pixels / 2 + 0.5).clamp(0, 1))

    def _drawn(self, question: torch.Tensor, sampling: Sampling, noise: torch.Generator, told: OnStep) -> torch.Tensor:
        """The tokens of one picture, on the CPU."""
        device, count = self._execution_device, self.num_timesteps
        rows = question if not sampling.guided else torch.cat([question, self._without_words(question)])
        kept = StaticCache(config=self.transformer.language_model.config, max_cache_len=question.shape[1] + count)
        scores = self.transformer(kept, words=rows.to(device))
        tokens = torch.zeros(count, dtype=torch.long)
        for place in range(count):
            tokens[place] = sampling.choose(scores, noise)
            told(self, place, None, {"latents": tokens[None, : place + 1]})
            if place + 1 < count:
                scores = self.transformer(kept, tokens=tokens[place].expand(len(rows), 1).to(device))
        return tokens

    def _without_words(self, question: torch.Tensor) -> torch.Tensor:
        """The question as if nothing had been asked: only what begins a text or a picture is left."""
        begins = (question == self.special["bos"]) | (question == self.special["boi"])
        return torch.where(begins, question, self.special["pad"])
