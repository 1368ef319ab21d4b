"""What a style is known by in the library, and how its card says it."""

import pytest

from app.core.styles import Style
from app.ui.strings import Strings
from app.ui.style_pictures import words_of
from app.ui.views.styles import OPENED, style_cards

WORDS = Strings().words("en")
NOIR = Style(name="noir", prompt="{prompt}, film noir, 35mm, of an age")


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (NOIR.prompt, "film noir 35mm age"),
        ("{prompt}, noir", ""),  # one word says too little
        ("", ""),
        (", ".join(f"word{number}" for number in range(20)), " ".join(f"word{number}" for number in range(12))),
    ],
)
def test_a_style_is_known_by_the_words_that_it_adds(prompt: str, words: str) -> None:
    assert words_of(Style(name="a", prompt=prompt, negative_prompt="x")) == words


def test_a_card_shows_its_picture_and_whether_it_is_chosen() -> None:
    evil = Style(name='"><b>', prompt="two words")
    cards = style_cards(["noir"], [NOIR, evil], {"noir": "abc"}, WORDS)
    assert OPENED in cards
    assert "atelier/thumbnail/abc.webp" in cards
    assert cards.count('aria-pressed="true"') == 1
    assert cards.count("at-no-picture") == 1
    assert "<b>" not in cards
