"""The parts of the page that stand above its tabs; events of every tab may change them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

# What a visitor's page sends with an event: component → its value.
Values = Mapping[Any, Any]
# What an event answers: component → its new value, or `gr.update(...)`. What is not named stays as it is.
Updates = dict[Any, Any]
TYPE = "__type__"  # by which Gradio tells an update from a value
_NOTHING = object()


@dataclass(frozen=True)
class Shell:
    """Header, passing message, what the browser remembers, the tabs, and the clock that asks how the service is.

    `changed`: invisible parts that are pressed a moment after the form was changed, by what it is for.
    """

    header: gr.HTML
    toast: gr.HTML
    memory: gr.HTML
    tabs: gr.Tabs
    pulse: gr.Timer
    changed: Mapping[str, gr.HTML]


def unlike_built(updates: Updates) -> Updates:
    """Those of the updates that change something of a page that was just opened, which is as it was built.

    A browser looks at every part of the page for each value it is told, so that of a form it may take a second.
    """
    found: Updates = {}
    for component, update in updates.items():
        if not isinstance(update, dict):
            if getattr(component, "value", None) != update:
                found[component] = update
        elif news := {
            key: value for key, value in update.items() if key != TYPE and not _is_built(component, key, value)
        }:
            found[component] = gr.update(**news)
    return found


def _is_built(component: Any, key: str, value: Any) -> bool:
    if value is None:  # a part that was built without a value has one of its own in the browser
        return False
    built = getattr(component, key, _NOTHING)
    if key == "choices" and isinstance(built, list):
        return [tuple(each) for each in built] == [
            (each, each) if isinstance(each, str) else tuple(each) for each in value
        ]
    return bool(type(built) is type(value) and built == value)
