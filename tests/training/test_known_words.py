"""The words that the page offers are those that the model was trained with."""

from __future__ import annotations


def test_the_words_beside_the_catalog_are_the_models_own() -> None:
    from known_words import FILE, as_text, known_words

    assert FILE.read_text("utf-8") == as_text(), "run: python training/pocket/known_words.py"
    known = known_words()
    assert {"apple", "in the sky", "red"} <= set(known["complete"]["en"])
    assert {"苹果", "在桌子上", "红色"} <= set(known["complete"]["zh"])
    assert known["read_as"]["astronaut"] == "man"
    assert "astronaut" not in known["known"]["en"]
