"""Names of the hub's models as people have them: mostly as the address of a page."""

import re

_LINK = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([^/?#\s]+/[^/?#\s]+)(?:[/?#]\S*)?")
NO_MODELS = ("datasets/", "spaces/", "docs/", "blog/", "papers/", "collections/")


def model_named(text: str) -> str:
    """The catalog key or hub id (`owner/name`) in what somebody pasted: that itself, or a model's page of the hub.

    Anything else comes back as it is, for whoever knows what keys there are to refuse it.
    """
    text = text.strip()
    found = _LINK.fullmatch(text)
    return found[1] if found and not found[1].startswith(NO_MODELS) else text
