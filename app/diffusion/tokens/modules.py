"""The parts of Janus that draw, taken out of transformers' model: what it needs to look at pictures stays behind."""

from typing import Any

import torch
from diffusers.hooks import apply_layerwise_casting
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.utils.accelerate_utils import apply_forward_hook

USED = (
    "model.language_model.",
    "model.generation_embeddings.",
    "model.generation_aligner.",
    "model.generation_head.",
    "model.vqmodel.decoder.",
    "model.vqmodel.post_quant_conv.",
    "model.vqmodel.quantize.",
)
_OF_DECODER = "model.vqmodel."


def role_of_tensor(name: str) -> str | None:
    """`transformer` or `vae`, by a tensor's name in the model's file; None for what does not draw."""
    if not name.startswith(USED):
        return None
    return "vae" if name.startswith(_OF_DECODER) else "transformer"


class _Part(torch.nn.Module):  # type: ignore[misc]
    """What a pipeline asks of each of its parts."""

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the computation."""
        return next(tensor.dtype for tensor in self.parameters() if tensor.is_floating_point())

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device


class TokenDrawer(_Part):
    """Says how likely each token is to come next."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.language_model = model.language_model
        self.embeddings = model.generation_embeddings
        self.aligner = model.generation_aligner
        self.head = model.generation_head

    def forward(self, kept: Any, words: torch.Tensor | None = None, tokens: torch.Tensor | None = None) -> torch.Tensor:
        """[n, tokens there are], after `words` of the prompt or `tokens` of the picture, both [n, length].

        `kept` is transformers' cache of what was read before.
        """
        if words is not None:
            read = self.language_model.get_input_embeddings()(words)
        else:
            read = self.aligner(self.embeddings(tokens))
        state = self.language_model(inputs_embeds=read, past_key_values=kept, use_cache=True).last_hidden_state
        scores: torch.Tensor = self.head(state[:, -1])
        return scores

    def enable_layerwise_casting(self, storage_dtype: torch.dtype, compute_dtype: torch.dtype) -> None:
        """As diffusers' models have it: matrices are stored in one format and computed in another."""
        apply_layerwise_casting(self, storage_dtype, compute_dtype)


class TokenDecoder(_Part):
    """Makes pixels of tokens."""

    def __init__(self, vqmodel: Any) -> None:
        super().__init__()
        self.codebook = vqmodel.quantize.embedding
        self.post_quant_conv = vqmodel.post_quant_conv
        self.decoder = vqmodel.decoder
        self.width = int(vqmodel.config.num_patches)  # tokens in a line
        self.factor = 2 ** (len(vqmodel.config.channel_multiplier) - 1)  # pixels along a token

    @property
    def side(self) -> int:
        """Pixels of a picture's side."""
        side: int = self.width * self.factor
        return side

    @apply_forward_hook
    def decode(self, tokens: torch.Tensor) -> DecoderOutput:
        """The pixels of whole lines of tokens, [n, lines * width], as [n, 3, h, w] from -1 to 1."""
        codes = torch.nn.functional.normalize(self.codebook(tokens.long()), dim=-1)
        codes = codes.view(len(tokens), -1, self.width, codes.shape[-1]).permute(0, 3, 1, 2).contiguous()
        return DecoderOutput(sample=self.decoder(self.post_quant_conv(codes)))
