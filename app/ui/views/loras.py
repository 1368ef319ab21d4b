"""The LoRAs that the chosen model could use, and the prompt with one of them in it."""

import re
from collections.abc import Iterable, Sequence

from app.core.models import LoraInfo, ModelInfo
from app.ui.markup import Markup, action, join
from app.ui.strings import Words
from app.ui.views.folded import folded_list

WEIGHT = 0.8  # as most of them are used


def lora_list(loras: Sequence[LoraInfo], model: ModelInfo, words: Words) -> Markup:
    """A folded list with a weight for each; nothing if there is none for this model."""
    rows = [_row(lora, words) for lora in loras if model.key in lora.models]
    return folded_list(words("loras"), rows)


def with_lora(prompt: str, name: str, weight: float, said: Iterable[str]) -> str:
    """The prompt with the LoRA at this weight, and with what is to be said for it where that is missing."""
    plain = without_lora(prompt, name)
    missing = [word for word in said if word.lower() not in plain.lower()]
    return " ".join(filter(None, [", ".join(filter(None, [plain, *missing])), f"<lora:{name}:{weight:g}>"]))


def without_lora(prompt: str, name: str) -> str:
    """The prompt without the LoRA; what was said for it stays."""
    return re.sub(rf"\s*<lora:{re.escape(name)}(:[^<>]*)?>", "", prompt).strip()


def weight_of(text: object) -> float:
    """The weight that a browser sends; the usual for anything that is none."""
    try:
        weight = float(str(text))
    except ValueError:
        return WEIGHT
    return weight if -2 <= weight <= 2 else WEIGHT


def _row(lora: LoraInfo, words: Words) -> Markup:
    said = Markup('<span class="at-quiet">{}</span>').format(", ".join(lora.words)) if lora.words else Markup("")
    weight = Markup('<input type="number" data-weight min="-2" max="2" step="0.05" value="{}" aria-label="{}">').format(
        WEIGHT, words("lora_weight", name=lora.name)
    )
    buttons = [
        action("lora", words("lora_use"), data={"id": lora.name}),
        action("lora-off", words("lora_off", name=lora.name), picture="close", bare=True, data={"id": lora.name}),
    ]
    return Markup('<li class="at-row" data-lora="{0}"><b>{0}</b>{1}{2}{3}</li>').format(
        lora.name, said, weight, join(buttons)
    )
