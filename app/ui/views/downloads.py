"""How a model's download is, and the buttons that begin, stop and clean it."""

import json
from collections.abc import Mapping
from typing import Any

from app.core.models import ModelInfo, Presence
from app.ui.markup import Markup, action, bar, join, notice
from app.ui.memory import Awaited
from app.ui.strings import Words
from app.ui.times import duration, size


def is_here(model: ModelInfo) -> bool:
    """True if it can be loaded: all files are here, or it is no model of the hub."""
    return model.installed or not model.repository


def download_line(model: ModelInfo, words: Words) -> Markup:
    """Bytes, speed and time left with a bar; or why the download failed."""
    download = model.download
    if download is None:
        return Markup("")
    if download.state == "failed":
        error = download.error
        reason = " ".join(words.told(part) for part in (error.message, error.hint) if part) if error else None
        return notice(words("download_failed"), "bad", reason)
    if download.state == "waiting":
        return Markup('<p class="at-quiet">{}</p>').format(words("download_waiting"))
    done, of = download.done, download.of
    parts = [words("model_phase_downloading")]
    if of:
        parts = [words("model_bytes", phase=parts[0], done=size(done), of=size(of))]
    if download.bytes_per_s:
        parts.append(words("download_speed", speed=size(download.bytes_per_s)))
    if download.eta_s is not None:
        parts.append(words("download_left", time=duration(download.eta_s, words)))
    line = Markup('<p class="at-quiet">{}</p>').format(" · ".join(parts))
    return line + bar(words("model_phase_downloading"), done / of if of else None)


def download_buttons(model: ModelInfo, words: Words) -> Markup:
    """What can be done about the files of a model that is not here, or only in part."""
    data: dict[str, object] = {"id": model.key}
    if model.downloading:
        return action("stop-download", words("download_stop"), picture="stop", data=data)
    if is_here(model):
        return Markup("")
    partial = model.files is Presence.PARTIAL
    taken = size(model.size_bytes) if model.size_bytes else ""
    text = words("download_resume") if partial else words("download_model", size=taken).strip()
    buttons = [action("download", text, picture="download", data=data)]
    if partial:
        question = words("download_clean_question", size=size(model.bytes_on_disk))
        confirm = (question, words("download_clean_yes"), words("keep"))
        buttons.append(action("clean", words("download_clean"), picture="trash", data=data, confirm=confirm))
    elif model.download:
        buttons.append(action("stop-download", words("download_dismiss"), picture="close", data=data))
    return join(buttons)


def draw_when_here(model: ModelInfo, body: Mapping[str, Any], words: Words) -> Markup:
    """One button for all of it: the files come, and then this request is drawn. It travels in the button; the service
    checks it like any other."""
    taken = size(model.size_bytes) if model.size_bytes else ""
    text = words("draw_when_here") if model.downloading else words("download_and_draw", size=taken)
    data: dict[str, object] = {"id": model.key, "request": json.dumps(dict(body), ensure_ascii=False)}
    return action("download-draw", " ".join(text.split()), picture="download", data=data)


def awaited_line(awaited: Awaited | None, words: Words) -> Markup:
    """What is drawn when its model is here, with a way to let it be."""
    if awaited is None:
        return Markup("")
    text = words("draws_when_here", prompt=str(awaited.body.get("prompt") or "")[:80], model=awaited.model)
    forget = action("forget-awaited", words("draw_not"), picture="close")
    return Markup('<div class="at-notice at-notice-wait" role="status"><p>{}</p>{}</div>').format(text, forget)
