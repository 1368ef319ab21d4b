"""What models there are, how big they are, what they are good for, and what is in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.answers import Status
from app.ui.markup import Markup, action, badge, bar, join, notice
from app.ui.strings import Words
from app.ui.times import size
from app.ui.views.downloads import download_buttons, download_line, is_downloading, is_here
from app.ui.views.pictures import facts_list


def models_page(models: Sequence[Mapping[str, Any]], status: Status | None, words: Words) -> Markup:
    """Memory of each device, then a card for each model."""
    cards = join(_card(model, words) for model in models)
    return Markup('{}<div class="at-models">{}</div>').format(memory(status, words), cards)


def model_line(model: Mapping[str, Any] | None, words: Words) -> Markup:
    """What the chosen model is, in two lines, with its load button or how far loading is."""
    if model is None:
        return Markup("")
    parts = [*_described(model, words), _taken(model)]
    about = " · ".join(part for part in parts if part)
    below = _loading(model, words) + download_line(model, words)
    button = Markup("") if model.get("state") == "loaded" else _file_buttons(model, words)
    return Markup(
        '<div class="at-model-line"><span class="at-quiet">{}</span>{}{}</div>{}'
    ).format(about, _state_badge(model, words), button, below)  # fmt: skip


def memory(status: Status | None, words: Words) -> Markup:
    """A line for each device: how full its memory is and what is in it."""
    lines = []
    for device in status.devices if status else ():
        loaded = ", ".join(device.loaded_models) or words("memory_holds_nothing")
        used, total = device.memory_used_bytes, device.memory_total_bytes
        filled = Markup("")
        amount = ""
        if used is not None and total:
            amount = words("memory_used", used=size(used), total=size(total))
            filled = bar(words("memory"), used / total)
        lines.append(
            Markup(
                '<div class="at-card"><p class="at-situation"><b>{}</b> {}<span class="at-quiet">{}</span></p>{}</div>'
            ).format(device.name or device.device, amount, words("memory_holds", models=loaded), filled)
        )
    return join(lines)


def _card(model: Mapping[str, Any], words: Words) -> Markup:
    rows = [
        (words("model_size"), _taken(model) or "–"),
        (words("model_speed"), _said("speed", model, words)),
        (words("model_quality"), _said("quality", model, words)),
        (words("model_best_for"), words.find(f"model_{model['key']}_best_for") or str(model.get("best_for") or "")),
        (words("model_licence"), str(model.get("licence") or "–")),
        (words("model_defaults"), _defaults(model, words)),
    ]
    failed = (
        notice(words("model_load_failed"), "bad", _reason(model, words))
        if model.get("state") == "failed"
        else Markup("")
    )
    if model.get("state") == "loaded":
        buttons = _button("unload", words("unload_model"), model)
    else:
        buttons = _file_buttons(model, words)
    use = action("use", words("model_use"), picture="picture", data={"id": model["key"]})
    return Markup(
        '<article class="at-card" data-model="{}" data-state="{}"><h3>{}{}</h3><p class="at-quiet">{}</p>{}{}{}'
        '<div class="at-row">{}{}</div></article>'
    ).format(
        model["key"],
        model.get("state"),
        model.get("title") or model["key"],
        _state_badge(model, words),
        model.get("repository") or model.get("path") or "",
        facts_list([(name, value) for name, value in rows if value]),
        _loading(model, words) + download_line(model, words),
        failed,
        buttons,
        use,
    )


def _described(model: Mapping[str, Any], words: Words) -> list[str]:
    best = words.find(f"model_{model['key']}_best_for") or str(model.get("best_for") or "")
    speed, quality = _said("speed", model, words), _said("quality", model, words)
    return [
        words("model_speed_is", value=speed) if speed else "",
        words("model_quality_is", value=quality) if quality else "",
        best,
    ]


def _said(field: str, model: Mapping[str, Any], words: Words) -> str:
    """A word of the catalog in the reader's language: what it says on each model, else the catalog's own text."""
    return words.find(f"model_{model['key']}_{field}") or str(model.get(field) or "")


def _taken(model: Mapping[str, Any]) -> str:
    return size(model["size_bytes"]) if model.get("size_bytes") else ""


def _defaults(model: Mapping[str, Any], words: Words) -> str:
    return words(
        "model_defaults_are",
        width=model["width"],
        height=model["height"],
        steps=model["num_inference_steps"],
        guidance=f"{model['guidance_scale']:g}",
    )


def _state_badge(model: Mapping[str, Any], words: Words) -> Markup:
    state = str(model.get("state"))
    if state == "loaded":
        return badge(words("model_loaded"), "good")
    if state == "loading":
        return badge(words("model_loading"), "running")
    if state == "failed":
        return badge(words("model_failed"), "bad")
    if is_downloading(model):
        return badge(words("model_phase_downloading"), "running")
    if model.get("files") == "partial":
        return badge(words("model_partial", size=size(model.get("bytes_on_disk") or 0)), "quiet")
    return badge(words("model_on_disk") if model.get("installed") else words("model_not_here"), "quiet")


def _loading(model: Mapping[str, Any], words: Words) -> Markup:
    """A bar while the model comes: downloaded bytes first, then the load into memory."""
    progress = model.get("progress") or {}
    if model.get("state") != "loading":
        return Markup("")
    done, of = progress.get("done") or 0, progress.get("of") or 0
    phase = words.find(f"model_phase_{progress.get('phase')}") or words("model_loading")
    text = words("model_bytes", phase=phase, done=size(done), of=size(of)) if of > 0 else phase
    return Markup('<p class="at-quiet">{}</p>{}').format(text, bar(phase, done / of if of > 0 else None))


def _file_buttons(model: Mapping[str, Any], words: Words) -> Markup:
    """Load it, or first get its files."""
    if model.get("state") == "loading":
        return Markup("")
    if is_here(model) and not is_downloading(model):
        return _button("load", words("load_model"), model)
    return download_buttons(model, words)


def _button(act: str, text: str, model: Mapping[str, Any]) -> Markup:
    return action(act, text, data={"id": model["key"]})


def _reason(model: Mapping[str, Any], words: Words) -> str | None:
    reason = (model.get("progress") or {}).get("message") or (model.get("error") or {}).get("message")
    return words.told(str(reason)) if reason else None
