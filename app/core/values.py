"""What all shared values have in common: frozen, strict about their fields, and text that can be kept."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def refuse_bad_text(text: str) -> str:
    """The same text. Raises ValueError for what no file and no database row can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode text (it has a lone surrogate)") from None
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


Text = Annotated[str, AfterValidator(refuse_bad_text)]


class Value(BaseModel):
    """Base of all shared values: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
