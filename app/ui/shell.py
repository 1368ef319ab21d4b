"""The parts of the page that stand above its tabs; events of every tab may change them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

# What a visitor's page sends with an event: component → its value.
Values = Mapping[Any, Any]
# What an event answers: component → its new value, or `gr.update(...)`. What is not named stays as it is.
Updates = dict[Any, Any]


@dataclass(frozen=True)
class Shell:
    """Header, passing message, what the browser remembers, the tabs, and the clock that asks how the service is."""

    header: gr.HTML
    toast: gr.HTML
    memory: gr.HTML
    tabs: gr.Tabs
    pulse: gr.Timer
