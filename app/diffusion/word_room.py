"""Text encoders that keep part of their positions for themselves, as `pocket`'s does for the layout of the picture.

Their tokenizer says so: `words_max_length` in its `tokenizer_config.json` is how many positions words may take, begin
and end included; `model_max_length` counts all of them. Words beyond would run into the encoder's own positions, so
they are cut off here. Weights have no effect either: what such an encoder says at the words is not what counts.
"""

from typing import Any


def word_room(tokenizer: Any) -> int | None:
    """Positions for words, or None for a usual encoder, which has no others."""
    settings = getattr(tokenizer, "init_kwargs", None) or {}
    room = settings.get("words_max_length")
    return room if isinstance(room, int) else None


def fitting(tokenizer: Any, text: str) -> str:
    """The text up to the last token that has room; all of it for a usual encoder."""
    room = word_room(tokenizer)
    if room is None:
        return text
    read = tokenizer(text, truncation=True, max_length=room, return_offsets_mapping=True)
    if len(read["input_ids"]) < room:
        return text
    return text[: read["offset_mapping"][-2][1]]
