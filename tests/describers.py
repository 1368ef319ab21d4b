"""Small models with random weights that say what pictures show, or find them: real classes, no download."""

from pathlib import Path

import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
)

from tests.tokenizers import LETTERS, qwen_tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", *sorted({*LETTERS.lower().strip()})]
SIDE = 32


def letters_tokenizer() -> BertTokenizer:
    """One token for each letter."""
    vocabulary = {word: i for i, word in enumerate([*WORDS, *(f"##{word}" for word in WORDS[7:])])}
    return BertTokenizer(vocab=vocabulary, model_max_length=16)


def make_tiny_blip(folder: Path) -> Path:
    """A BLIP of a few thousand numbers; gives the folder back."""
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    words = letters_tokenizer()
    text = {
        **size, "vocab_size": len(words), "max_position_embeddings": 64, "encoder_hidden_size": 16,
        "bos_token_id": 5, "pad_token_id": 0, "eos_token_id": 3, "sep_token_id": 3,
    }  # fmt: skip
    config = BlipConfig(text_config=text, vision_config={**size, "image_size": SIDE, "patch_size": 16})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BlipForConditionalGeneration(config).save_pretrained(folder)
    words.save_pretrained(folder)
    BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def make_tiny_qwen(folder: Path) -> Path:
    """A Qwen2-VL of a few thousand numbers; gives the folder back."""
    words = qwen_tokenizer()
    words.add_special_tokens(
        {"additional_special_tokens": ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]}
    )
    start, end, image, video = words.convert_tokens_to_ids(
        ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    )
    text = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "vocab_size": len(words), "max_position_embeddings": 2048,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e4},
        "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0,
    }  # fmt: skip
    looks = {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 1, "patch_size": 14}
    config = Qwen2VLConfig(
        text_config=text, vision_config=looks, image_token_id=image, video_token_id=video,
        vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    words.save_pretrained(folder)
    Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112}).save_pretrained(folder)
    return folder


def make_tiny_clip(folder: Path) -> Path:
    """A CLIP of a few thousand numbers; gives the folder back."""
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    words = letters_tokenizer()
    text = {**size, "vocab_size": len(words), "max_position_embeddings": 16, "eos_token_id": 3}
    config = CLIPConfig(
        text_config=text, vision_config={**size, "image_size": SIDE, "patch_size": 16}, projection_dim=24
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    words.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}).save_pretrained(
        folder
    )
    return folder
