"""A small Janus with random weights, of the real classes: built and saved in a second, no network."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import JanusConfig, JanusForConditionalGeneration, LlamaConfig, PreTrainedTokenizerFast
from transformers.models.janus.configuration_janus import JanusVisionConfig, JanusVQVAEConfig

from tests.tokenizers import byte_letters

BOS, EOS, PAD, BOI, EOI, IMAGE = (
    "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>", "<begin_of_image>", "<end_of_image>",
    "<image_placeholder>",
)  # fmt: skip
SIDE, PATCH = 64, 16
TOKENS = (SIDE // PATCH) ** 2
CODES = 64  # kinds of tokens
WIDTH = 32


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes and the special tokens of the family; every text begins with the first of them."""
    words = [*byte_letters(), BOS, EOS, PAD, BOI, EOI, IMAGE, "<|User|>", "<|Assistant|>"]
    made = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, words.index(BOS))])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=BOS, eos_token=EOS, pad_token=PAD, model_max_length=16384,
        extra_special_tokens={"boi_token": BOI, "eoi_token": EOI, "image_token": IMAGE},
    )  # fmt: skip


def make_tiny_janus(folder: Path, seed: int = 0) -> Path:
    """Save one that draws 64x64 in 16 tokens, as `deepseek-community/Janus-Pro-1B` is saved. Gives the folder."""
    words = tokenizer()
    torch.manual_seed(seed)
    model = JanusForConditionalGeneration(
        JanusConfig(
            text_config=LlamaConfig(
                vocab_size=len(words), hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=2,
                num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=16384,
            ),
            vision_config=JanusVisionConfig(
                hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=SIDE, patch_size=PATCH,
                projection_dim=WIDTH, num_image_tokens=TOKENS, depth=1,
            ),
            vq_config=JanusVQVAEConfig(
                embed_dim=8, num_embeddings=CODES, latent_channels=32, base_channels=32,
                channel_multiplier=[1, 1, 1, 1, 1], num_res_blocks=1, projection_dim=WIDTH, image_token_embed_dim=WIDTH,
            ),
            image_token_id=words.convert_tokens_to_ids(IMAGE),
            tie_word_embeddings=False,
        )
    ).eval()  # fmt: skip
    with torch.no_grad():  # random weights say nearly the same everywhere: louder, so that each token matters
        for part in (model.model.generation_head, model.model.generation_embeddings, model.model.language_model):
            for weight in part.parameters():
                if weight.ndim == 2:
                    weight.mul_(8)
    said = model.generation_config
    said._from_model_config = False  # it is said on purpose, and is not to be worked out anew
    said.bos_token_id, said.pad_token_id = words.bos_token_id, words.pad_token_id
    said.generation_kwargs = {"boi_token_id": words.convert_tokens_to_ids(BOI)}
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
