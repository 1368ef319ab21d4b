"""The words of the page, in the reader's language: `app/locales/en.json` and `zh-CN.json`, one key for one text.

`said.zh-CN.json` has the sentences that the service itself says: see `said.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.requests import HTTPConnection

from app.ui.said import Said

LOCALES_FOLDER = Path(__file__).resolve().parents[1] / "locales"
ENGLISH = "en"
CHINESE = "zh-CN"
LANGUAGE_COOKIE = "atelier-language"
# Gradio looks a browser's language up by its exact name, so each way to say "Chinese" is listed.
CHINESE_NAMES = ("zh", "zh-CN", "zh-TW", "zh-HK", "zh-SG", "zh-Hans", "zh-Hant", "zh-Hans-CN", "zh-Hant-TW")


@dataclass(frozen=True)
class Words:
    """The texts of one language. Call it with a key, and with values for the places in braces."""

    language: str
    table: Mapping[str, str]
    said: Said | None = None  # None: the service's own language

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key`; a KeyError for a key that no locale has is a bug that a test finds."""
        return self.table[key].format(**values) if values else self.table[key]

    def find(self, key: str) -> str | None:
        """The text of a key made from data (a state, an error code), or None if there is none."""
        return self.table.get(key)

    def told(self, text: str, otherwise: str | None = None) -> str:
        """A sentence of the service; `otherwise` if this language has no words for it."""
        if self.said is None:
            return text
        return self.said.find(text) or otherwise or text

    def count(self, key: str, number: int) -> str:
        """`key` with its number; English has `key_one` for exactly one."""
        return self(f"{key}_one" if number == 1 else key, n=number)


class Strings:
    """Both languages, read once."""

    def __init__(self, folder: Path = LOCALES_FOLDER) -> None:
        self._tables = {
            language: json.loads((folder / f"{language}.json").read_text(encoding="utf-8"))
            for language in (ENGLISH, CHINESE)
        }
        self._said = {CHINESE: Said(json.loads((folder / f"said.{CHINESE}.json").read_text(encoding="utf-8")))}

    def words(self, language: str) -> Words:
        """The words of a language name as `language_of` gives it."""
        return Words(language, self._tables[language], self._said.get(language))

    def for_request(self, request: gr.Request | HTTPConnection) -> Words:
        """The words for the browser that sent this request: in the language chosen in the page, else the browser's."""
        chosen = chosen_language(request.headers.get("cookie", ""))
        return self.words(chosen or language_of(request.headers.get("accept-language", "")))

    def for_gradio(self) -> gr.I18n:
        """What Gradio's own components look their labels up in."""
        chinese = dict.fromkeys(CHINESE_NAMES, self._tables[CHINESE])
        return Labels(**{ENGLISH: self._tables[ENGLISH]}, **chinese)


class Labels(gr.I18n):  # type: ignore[misc]
    """Only the texts that were asked for go to the browser: the page needs a tenth of them."""

    def __init__(self, **translations: dict[str, str]) -> None:
        super().__init__(**translations)
        self._asked: set[str] = set()

    def __call__(self, key: str) -> Any:
        """The mark of a text, which the browser puts that text in the place of."""
        self._asked.add(key)
        return super().__call__(key)

    @property
    def translations_dict(self) -> dict[str, dict[str, str]]:
        """Language → key → text, of the keys that were asked for until now."""
        return {
            language: {key: text for key, text in table.items() if key in self._asked}
            for language, table in self.translations.items()
        }


def chosen_language(cookies: str) -> str | None:
    """The language that `static/page.js` noted in a cookie, if it is one of ours."""
    for part in cookies.split(";"):
        name, _, value = part.strip().partition("=")
        if name == LANGUAGE_COOKIE and value in (ENGLISH, CHINESE):
            return value
    return None


def language_of(accept_language: str) -> str:
    """`zh-CN` if the browser's first language is any Chinese, else `en`: the same choice Gradio makes in the page."""
    weighed = []
    for place, part in enumerate(accept_language.split(",")):
        name, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), place, name.strip().lower()))
        except ValueError:
            continue
    first = min(weighed)[2] if weighed else ""
    return CHINESE if first == "zh" or first.startswith("zh-") else ENGLISH
