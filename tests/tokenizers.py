"""Tokenizers of every family, made from nothing: one token for each byte or letter, no download."""

import io
from pathlib import Path

import sentencepiece
from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import GemmaTokenizer, Qwen2Tokenizer, T5Tokenizer
from transformers.tokenization_utils_tokenizers import TokenizersBackend

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'\"()[]<>|_-/\n"
_CHAT = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
)

_PARTS = (
    "{% for message in messages %}{{'[INST]'}}{% for part in message['content'] %}"
    "{{'[IMG]' if part['type'] == 'image' else part['text']}}{% endfor %}{{'[/INST]'}}{% endfor %}"
)


def byte_letters() -> list[str]:
    """The 256 characters by which byte-level tokenizers write the bytes."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in visible] + [chr(256 + i) for i in range(256 - len(visible))]


def t5_tokenizer(max_length: int = 512) -> T5Tokenizer:
    """Words begin with ▁; every other token is one letter."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), *((letter, -2.0) for letter in LETTERS)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=max_length)


def qwen_tokenizer() -> Qwen2Tokenizer:
    """As Qwen2 and Qwen3 have it, with their chat template."""
    words = [*byte_letters(), "<|endoftext|>"]
    tokenizer = Qwen2Tokenizer(vocab={word: i for i, word in enumerate(words)}, model_max_length=131072)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = _CHAT
    return tokenizer


def gemma_tokenizer() -> GemmaTokenizer:
    """Letters, and bytes for all others."""
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *LETTERS]
    words += [f"<0x{byte:02X}>" for byte in range(256)]
    return GemmaTokenizer(vocab={word: i for i, word in enumerate(words)}, model_max_length=8192)


def glm4_tokenizer() -> TokenizersBackend:
    """As GLM-4 has it, a token for each byte: each text begins with the same two tokens."""
    begin = ["[gMASK]", "<sop>"]
    letters = ["<|endoftext|>", "<|eos|>", *begin, *byte_letters()]
    model = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(letters)}, merges=[]))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.post_processor = processors.TemplateProcessing(
        single=[*begin, "$A"], special_tokens=[(word, letters.index(word)) for word in begin]
    )
    return TokenizersBackend(
        tokenizer_object=model, pad_token="<|endoftext|>", eos_token="<|eos|>", padding_side="left"
    )


def glm_tokenizer(folder: Path) -> ChatGLMTokenizer:
    """Kolors' tokenizer around a sentencepiece model of letters, trained on the spot."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(LETTERS[:-1])] * 10 + ["a red apple on a table"] * 10),
        model_writer=model,
        vocab_size=len(LETTERS) + 10,
        model_type="char",
        hard_vocab_limit=False,
        pad_id=3,
        minloglevel=2,
    )
    file = folder / "tokenizer.model"
    file.write_bytes(model.getvalue())
    return ChatGLMTokenizer(str(file))


def mistral_tokenizer() -> TokenizersBackend:
    """As Mistral 3 has it, a token for each byte, with a chat template for words and pictures."""
    letters = [
        *byte_letters(),
        "<unk>",
        "<s>",
        "</s>",
        "<pad>",
        "[INST]",
        "[/INST]",
        "[IMG]",
        "[IMG_BREAK]",
        "[IMG_END]",
    ]
    model = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(letters)}, merges=[], unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.add_special_tokens(letters[256:])
    return TokenizersBackend(
        tokenizer_object=model, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
        model_max_length=131072, padding_side="left", chat_template=_PARTS,
    )  # fmt: skip
