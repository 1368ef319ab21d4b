"""What a button inside an HTML part of the page sends. It comes from a browser, so nothing in it is believed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

# Run by Gradio when an HTML part appears and when it is drawn anew; the functions are in static/*.js.
LISTEN = (
    "window.atelierActions(element, trigger); "
    'watch("value", () => { window.atelierDrawn(element); window.atelierPlaced(element); '
    "window.atelierLook(); window.atelierStaged(); window.atelierRefocus(element); })"
)
MAX_PAGES_BACK = 2000
LISTS = ("inputs", "extend", "styles", "control")  # the fields of a request that are some
PLAIN = (str, int, float, bool)
# What `static/page.js` sends when a file has been handed in; `id` is the name it got.
HANDED_IN = "handed-in"


def html_part(elem_id: str | None = None, script: str = "") -> gr.HTML:
    """An HTML part of the page whose buttons reach Python. It looks as `static/style.css` says, not as prose.

    `script` is run too when it appears.
    """
    return gr.HTML(js_on_load=f"{LISTEN}; {script}", apply_default_css=False, elem_id=elem_id)


def plain_values(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Texts, numbers and yes or no by their names; a request of the page has nothing else."""
    return {str(name): value for name, value in values.items() if value is None or isinstance(value, PLAIN)}


def lists_in(values: Mapping[Any, Any]) -> dict[str, Any]:
    """The lists of a request by their names."""
    return {name: values[name] for name in LISTS if isinstance(values.get(name), list)}


def list_of(text: object) -> list[object]:
    """The list that a JSON text is; an empty one for anything else."""
    try:
        value = json.loads(str(text or "[]"))
    except (ValueError, RecursionError):
        return []
    return value if isinstance(value, list) else []


def texts_of(text: object) -> list[str]:
    """The list of texts that a JSON text is; an empty one for anything else."""
    listed = list_of(text)
    texts = [item for item in listed if isinstance(item, str)]
    return texts[:MAX_PAGES_BACK] if len(texts) == len(listed) else []


@dataclass(frozen=True)
class Action:
    """A pressed button: what to do (`act`), to what (`id`), and further values as text."""

    act: str
    id: str
    data: dict[str, Any]

    @classmethod
    def of(cls, event: gr.EventData) -> "Action":
        """The action of an event; an unknown shape becomes an action that no tab knows."""
        data = event._data if isinstance(event._data, dict) else {}
        return cls(str(data.get("act", "")), str(data.get("id", "")), data)

    def stack(self, name: str) -> list[str]:
        """A list of cursors: `stack` where the button leads to, `here` where the page is."""
        return texts_of(self.data.get(name))

    def mapping(self, name: str) -> dict[str, Any] | None:
        """The plain values of a JSON object that the page had put into the button, and the lists of a request."""
        try:
            value = json.loads(str(self.data.get(name) or "null"))
        except ValueError:
            return None
        if not isinstance(value, dict):
            return None
        return plain_values(value) | lists_in(value)
