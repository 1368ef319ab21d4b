"""What models there are, how big they are, what they are good for, and what is in memory."""

from collections.abc import Sequence

from app.core.answers import Status
from app.core.models import ModelInfo, ModelProgress, Presence
from app.core.task import ModelKind
from app.ui.markup import Markup, action, badge, bar, join, notice
from app.ui.strings import Words
from app.ui.times import duration, size
from app.ui.views.downloads import download_buttons, download_line, is_here
from app.ui.views.pictures import facts_list


def models_page(models: Sequence[ModelInfo], status: Status | None, words: Words) -> Markup:
    """Memory of each device, then a card for each model."""
    cards = join(_card(model, words) for model in models)
    return Markup('{}<div class="at-models">{}</div>').format(memory(status, words), cards)


def model_line(model: ModelInfo | None, words: Words) -> Markup:
    """What the chosen model is, in two lines, with its load button or how far loading is."""
    if model is None:
        return Markup("")
    licence = "" if model.installed or not model.repository else words("model_licence_is", value=model.licence)
    parts = [*_described(model, words), _taken(model), licence]
    about = " · ".join(part for part in parts if part)
    below = _loading(model, words) + download_line(model, words)
    button = Markup("") if model.state == "loaded" else _file_buttons(model, words)
    return Markup(
        '<div class="at-model-line" data-words-of="{}"><span class="at-quiet">{}</span>{}{}</div>{}'
    ).format(model.key, about, _state_badge(model, words), button, below)  # fmt: skip


def memory(status: Status | None, words: Words) -> Markup:
    """A line for each device: whether it draws, how full its memory is and what is in it."""
    lines = []
    for device in status.devices if status else ():
        loaded = ", ".join(device.loaded_models) or words("memory_holds_nothing")
        used, total = device.memory_used_bytes, device.memory_total_bytes
        filled = Markup("")
        amount = ""
        doing = badge(words("device_busy" if device.busy else "device_free"), "running" if device.busy else "quiet")
        if used is not None and total:
            amount = words("memory_used", used=size(used), total=size(total))
            filled = bar(words("memory"), used / total)
        lines.append(
            Markup(
                '<div class="at-card"><p class="at-situation"><b>{}</b> {}<span class="at-quiet">{}</span></p>{}</div>'
            ).format(
                device.name or device.device,
                Markup("{} {}").format(doing, amount),
                words("memory_holds", models=loaded),
                filled,
            )
        )
    return join(lines)


def _card(model: ModelInfo, words: Words) -> Markup:
    makes = not {ModelKind.DRAWS, ModelKind.EDITS}.isdisjoint(model.kinds)
    rows = [
        (words("model_kinds"), words("model_kinds_and").join(words(f"model_kind_{kind}") for kind in model.kinds)),
        (words("model_size"), _taken(model) or "–"),
        (words("model_runs_here"), _runs_here(model, words)),
        (words("model_computed"), _computed(model, words)),
        (words("model_seconds"), duration(model.seconds_a_picture, words) if model.seconds_a_picture else ""),
        (words("model_speed"), _said("speed", model, words)),
        (words("model_quality"), _said("quality", model, words)),
        (words("model_best_for"), words.find(f"model_{model.key}_best_for") or model.best_for),
        (words("model_licence"), model.licence or "–"),
        (words("model_defaults"), _defaults(model, words) if makes else ""),
    ]
    failed = notice(words("model_load_failed"), "bad", _reason(model, words)) if model.state == "failed" else Markup("")
    if model.state == "loaded":
        buttons = _button("unload", words("unload_model"), model)
    else:
        buttons = _file_buttons(model, words)
    use = action("use", words("model_use"), picture="picture", data={"id": model.key}) if makes else Markup("")
    return Markup(
        '<article class="at-card" data-model="{}" data-state="{}"><h2>{}{}</h2><p class="at-quiet">{}</p>{}{}{}'
        '<div class="at-row">{}{}</div></article>'
    ).format(
        model.key,
        model.state,
        model.title or model.key,
        _state_badge(model, words),
        model.repository or model.path or "",
        facts_list([(name, value) for name, value in rows if value]),
        _loading(model, words) + download_line(model, words),
        failed,
        buttons,
        use,
    )


def _runs_here(model: ModelInfo, words: Words) -> str:
    """Whether it does, what it needs and what there is: what `doctor` says on the command line."""
    verdict = model.verdict
    if verdict is None:
        return ""
    need, there = size(verdict.ram_bytes), size(verdict.ram_there_bytes)
    memory = words("model_needs_ram", need=need, there=there)
    if verdict.vram_bytes is not None and verdict.vram_there_bytes is not None:
        gpu = {"gpu": size(verdict.vram_bytes), "gpu_there": size(verdict.vram_there_bytes)}
        memory = words("model_needs_gpu", need=need, there=there, **gpu)
    if not verdict.fits:
        return words("model_fits_not", memory=memory)
    return words("model_fits" if verdict.lossless else "model_fits_lossy", memory=memory)


def _computed(model: ModelInfo, words: Words) -> str:
    """What would compute it, and why: on a processor it may be OpenVINO."""
    verdict = model.verdict
    if verdict is None or not verdict.fits or not verdict.compute_why:
        return ""
    name = {"torch": "PyTorch", "openvino": "OpenVINO"}.get(verdict.compute, verdict.compute)
    return words("model_computed_because", name=name, why=words.told(verdict.compute_why))


def _described(model: ModelInfo, words: Words) -> list[str]:
    best = words.find(f"model_{model.key}_best_for") or model.best_for
    speed, quality = _said("speed", model, words), _said("quality", model, words)
    return [
        words("model_speed_is", value=speed) if speed else "",
        words("model_quality_is", value=quality) if quality else "",
        best,
    ]


def _said(field: str, model: ModelInfo, words: Words) -> str:
    """A word of the catalog in the reader's language: what it says on each model, else the catalog's own text."""
    return words.find(f"model_{model.key}_{field}") or str(getattr(model, field))


def _taken(model: ModelInfo) -> str:
    return size(model.size_bytes) if model.size_bytes else ""


def _defaults(model: ModelInfo, words: Words) -> str:
    return words(
        "model_defaults_are",
        width=model.width,
        height=model.height,
        steps=model.num_inference_steps,
        guidance=f"{model.guidance_scale:g}",
    )


def _state_badge(model: ModelInfo, words: Words) -> Markup:
    state = model.state
    if state == "loaded":
        return badge(words("model_loaded"), "good")
    if state == "loading":
        return badge(words("model_loading"), "running")
    if state == "failed":
        return badge(words("model_failed"), "bad")
    if model.downloading:
        return badge(words("model_phase_downloading"), "running")
    if model.files is Presence.PARTIAL:
        return badge(words("model_partial", size=size(model.bytes_on_disk)), "quiet")
    return badge(words("model_on_disk") if model.installed else words("model_not_here"), "quiet")


def _loading(model: ModelInfo, words: Words) -> Markup:
    """A bar while the model comes: downloaded bytes first, then the load into memory."""
    if model.state != "loading":
        return Markup("")
    progress = model.progress or ModelProgress(phase="", done=0, of=0)
    done, of = progress.done, progress.of
    phase = words.find(f"model_phase_{progress.phase}") or words("model_loading")
    text = words("model_bytes", phase=phase, done=size(done), of=size(of)) if of > 0 else phase
    return Markup('<p class="at-quiet">{}</p>{}').format(text, bar(phase, done / of if of > 0 else None))


def _file_buttons(model: ModelInfo, words: Words) -> Markup:
    """Load it, or first get its files."""
    if model.state == "loading":
        return Markup("")
    if is_here(model) and not model.downloading:
        return _button("load", words("load_model"), model)
    return download_buttons(model, words)


def _button(act: str, text: str, model: ModelInfo) -> Markup:
    return action(act, text, data={"id": model.key})


def _reason(model: ModelInfo, words: Words) -> str | None:
    return words.told(model.error.message) if model.error else None
