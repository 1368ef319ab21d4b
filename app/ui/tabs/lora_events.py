"""What happens with the LoRAs and embeddings of the generate tab: each is a tag or a word in a prompt."""

import gradio as gr

from app.core.errors import ServiceError
from app.core.models import EmbeddingInfo, LoraInfo, ModelInfo
from app.ui.actions import Action
from app.ui.markup import join
from app.ui.shell import Updates, Values
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.tabs.generate_tab import GenerateTab
from app.ui.views.embeddings import embedding_list, with_word
from app.ui.views.loras import lora_list, weight_of, with_lora, without_lora


class LoraEvents:
    """The events, for one studio."""

    def __init__(self, studio: Studio, tab: GenerateTab) -> None:
        self._link = studio.link
        self._tab = tab

    def act(self, event: gr.EventData, values: Values) -> Updates:
        """One is put into the prompt, gets another weight, or is taken out."""
        action, field = Action.of(event), self._tab.fields["prompt"]
        if action.act == "embedding-not":
            field = self._tab.fields["negative_prompt"]
        prompt = str(values.get(field) or "")
        if action.act in ("embedding", "embedding-not"):
            known = {each.name for each in self._embeddings()}
            return {field: with_word(prompt, action.id)} if action.id in known else {}
        if action.act == "lora-off":
            return {field: without_lora(prompt, action.id)}
        found = [lora for lora in self._loras() if lora.name == action.id]
        if action.act != "lora" or not found:
            return {}
        return {field: with_lora(prompt, found[0].name, weight_of(action.data.get("weight")), found[0].words)}

    def shown(self, model: ModelInfo, words: Words) -> Updates:
        """The list for a model."""
        lists = [lora_list(self._loras(), model, words), embedding_list(self._embeddings(), model, words)]
        return {self._tab.loras: join(lists)}

    def _embeddings(self) -> list[EmbeddingInfo]:
        try:
            return self._link.embeddings()
        except ServiceError:
            return []

    def _loras(self) -> list[LoraInfo]:
        try:
            return self._link.loras()
        except ServiceError:
            return []
