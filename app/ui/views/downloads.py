"""How a model's download is, and the buttons that begin, stop and clean it."""

from collections.abc import Mapping
from typing import Any

from app.ui.markup import Markup, action, bar, join, notice
from app.ui.strings import Words
from app.ui.times import duration, size

RUNNING = ("waiting", "downloading")


def is_downloading(model: Mapping[str, Any]) -> bool:
    """True while it is downloaded or waits for that."""
    return (model.get("download") or {}).get("state") in RUNNING


def is_here(model: Mapping[str, Any]) -> bool:
    """True if it can be loaded: all files are here, or it is no model of the hub."""
    return bool(model.get("installed")) or not model.get("repository")


def download_line(model: Mapping[str, Any], words: Words) -> Markup:
    """Bytes, speed and time left with a bar; or why the download failed."""
    download = model.get("download") or {}
    if download.get("state") == "failed":
        error = download.get("error") or {}
        reason = " ".join(words.told(str(part)) for part in (error.get("message"), error.get("hint")) if part)
        return notice(words("download_failed"), "bad", reason or None)
    if not is_downloading(model):
        return Markup("")
    if download["state"] == "waiting":
        return Markup('<p class="at-quiet">{}</p>').format(words("download_waiting"))
    done, of = download.get("done") or 0, download.get("of") or 0
    parts = [words("model_phase_downloading")]
    if of:
        parts = [words("model_bytes", phase=parts[0], done=size(done), of=size(of))]
    if download.get("bytes_per_s"):
        parts.append(words("download_speed", speed=size(download["bytes_per_s"])))
    if download.get("eta_s") is not None:
        parts.append(words("download_left", time=duration(download["eta_s"], words)))
    line = Markup('<p class="at-quiet">{}</p>').format(" · ".join(parts))
    return line + bar(words("model_phase_downloading"), done / of if of else None)


def download_buttons(model: Mapping[str, Any], words: Words) -> Markup:
    """What can be done about the files of a model that is not here, or only in part."""
    data = {"id": model["key"]}
    if is_downloading(model):
        return action("stop-download", words("download_stop"), picture="stop", data=data)
    if is_here(model):
        return Markup("")
    partial = model.get("files") == "partial"
    taken = size(model["size_bytes"]) if model.get("size_bytes") else ""
    text = words("download_resume") if partial else words("download_model", size=taken).strip()
    buttons = [action("download", text, picture="download", data=data)]
    if partial:
        question = words("download_clean_question", size=size(model.get("bytes_on_disk") or 0))
        confirm = (question, words("download_clean_yes"), words("keep"))
        buttons.append(action("clean", words("download_clean"), picture="trash", data=data, confirm=confirm))
    elif model.get("download"):
        buttons.append(action("stop-download", words("download_dismiss"), picture="close", data=data))
    return join(buttons)
