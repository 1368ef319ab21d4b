"""What happens with the LoRAs of the generate tab: each is a tag in the prompt."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from app.core.errors import ServiceError
from app.core.models import LoraInfo, ModelInfo
from app.ui.actions import Action
from app.ui.shell import Updates
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.tabs.generate_tab import GenerateTab
from app.ui.views.loras import lora_list, weight_of, with_lora, without_lora


class LoraEvents:
    """The events, for one studio."""

    def __init__(self, studio: Studio, tab: GenerateTab) -> None:
        self._link = studio.link
        self._tab = tab

    def act(self, event: gr.EventData, values: Mapping[Any, Any]) -> Updates:
        """One is put into the prompt, gets another weight, or is taken out."""
        action, field = Action.of(event), self._tab.fields["prompt"]
        prompt = str(values.get(field) or "")
        if action.act == "lora-off":
            return {field: without_lora(prompt, action.id)}
        found = [lora for lora in self._loras() if lora.name == action.id]
        if action.act != "lora" or not found:
            return {}
        return {field: with_lora(prompt, found[0].name, weight_of(action.data.get("weight")), found[0].words)}

    def shown(self, model: ModelInfo, words: Words) -> Updates:
        """The list for a model."""
        return {self._tab.loras: lora_list(self._loras(), model, words)}

    def _loras(self) -> list[LoraInfo]:
        try:
            return self._link.loras()
        except ServiceError:
            return []
