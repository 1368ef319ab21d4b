"""Styles: named texts that are laid around a prompt, as A1111 and Fooocus do it."""

from collections.abc import Sequence

from pydantic import Field

from app.core.schema import MAX_PROMPT_CHARS, MAX_STYLE_CHARS
from app.core.values import Text, Value

PLACE = "{prompt}"  # where the prompt stands in a style; one without it is written behind the prompt


class Style(Value):
    """What a style adds to both prompts."""

    name: Text = Field(min_length=1, max_length=MAX_STYLE_CHARS)
    prompt: Text = Field("", max_length=MAX_PROMPT_CHARS, description="With {prompt} where the prompt is to stand.")
    negative_prompt: Text = Field("", max_length=MAX_PROMPT_CHARS, description="Likewise.")


def with_styles(prompt: str, texts: Sequence[str]) -> str:
    """The prompt with one style after the other laid around it, as A1111's `apply_styles_to_prompt`.

    Raises ValueError where it becomes longer than a prompt may be.
    """
    for text in texts:
        places = text.count(PLACE)
        if len(text) + places * (len(prompt) - len(PLACE)) + (0 if places else len(prompt)) > MAX_PROMPT_CHARS:
            raise ValueError(f"with its styles the prompt has more than {MAX_PROMPT_CHARS} characters")
        prompt = text.replace(PLACE, prompt) if places else ", ".join(filter(None, (prompt.strip(), text.strip())))
    return prompt
