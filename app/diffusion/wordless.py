"""An empty prompt for models to which no words say nothing at all, as to `pocket`: they would draw plain grey.

Their tokenizer says what to draw then: `wordless_prompts` in its `tokenizer_config.json`, of which the seed takes one.
"""

from typing import Any


def own_prompt(tokenizer: Any, seed: int) -> str | None:
    """What this model draws for this seed where nothing is asked for; None for a usual encoder."""
    prompts = (getattr(tokenizer, "init_kwargs", None) or {}).get("wordless_prompts")
    if not isinstance(prompts, list) or not prompts or not all(isinstance(text, str) for text in prompts):
        return None
    return str(prompts[seed % len(prompts)])
