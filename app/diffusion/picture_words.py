"""What makes tokens of words and pictures for the text encoders that look at both."""

from pathlib import Path
from typing import Any

from transformers import ProcessorMixin, Qwen2VLProcessor
from transformers.tokenization_utils_tokenizers import TokenizersBackend

# Components of a pipeline, and the classes of the library that this file has others for.
FOR_PICTURES = "processor", "Qwen2VLProcessor"
FOR_WORDS = "tokenizer", "PixtralProcessor"


class PictureProcessor(Qwen2VLProcessor):  # type: ignore[misc]  # the library tells no types
    """Qwen2-VL's processor for words and pictures. The library's own reads films too, and needs torchvision for it."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


class WordProcessor(ProcessorMixin):  # type: ignore[misc]  # as above
    """Mistral 3's processor for words, which are all that is made tokens of here; the library's own, for pictures too,
    needs torchvision."""

    def __init__(self, tokenizer: Any = None, chat_template: Any = None) -> None:
        super().__init__(tokenizer, chat_template=chat_template)


def is_processor(part: str, name: str) -> bool:
    """True for a component that `read_pipeline` reads here."""
    return (part, name) in (FOR_PICTURES, FOR_WORDS)


def read_pipeline(cls: Any, folder: Path, index: dict[str, Any], **options: Any) -> Any:
    """The pipeline in a checked diffusers folder, with these processors; the rest as `from_pretrained` reads it."""
    ours = {part: _read(folder / part, name) for part, name in (FOR_PICTURES, FOR_WORDS)
            if index.get(part) == ["transformers", name]}  # fmt: skip
    # Put in afterwards: diffusers would hold their classes against those of the library, which cannot be imported.
    pipe = cls.from_pretrained(folder, **dict.fromkeys(ours), **options)
    pipe.register_modules(**ours)
    return pipe


def _read(place: Path, name: str) -> Any:
    if name == FOR_PICTURES[1]:
        return PictureProcessor.from_pretrained(place, local_files_only=True)
    words = TokenizersBackend.from_pretrained(place, local_files_only=True)
    return WordProcessor(words, words.chat_template)
