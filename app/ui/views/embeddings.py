"""The embeddings that the chosen model could use, and a prompt with one of them in it."""

import re
from collections.abc import Sequence

from app.core.models import EmbeddingInfo, ModelInfo
from app.ui.markup import Markup, action, join
from app.ui.strings import Words
from app.ui.views.folded import folded_list


def embedding_list(embeddings: Sequence[EmbeddingInfo], model: ModelInfo, words: Words) -> Markup:
    """A folded list whose buttons put the word into one of the prompts; nothing if there is none for this model."""
    rows = [_row(each, words) for each in embeddings if model.key in each.models]
    return folded_list(words("embeddings"), rows)


def with_word(prompt: str, name: str) -> str:
    """The prompt with the word at its end, if it is not there yet."""
    there = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", prompt, re.IGNORECASE)
    return prompt if there else ", ".join(filter(None, [prompt.strip(), name]))


def _row(each: EmbeddingInfo, words: Words) -> Markup:
    data: dict[str, object] = {"id": each.name}
    buttons = [
        action("embedding", words("embedding_use"), data=data),
        action("embedding-not", words("embedding_use_not"), data=data),
    ]
    return Markup('<li class="at-row"><b>{}</b>{}</li>').format(each.name, join(buttons))
