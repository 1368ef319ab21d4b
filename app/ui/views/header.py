"""The line on top of every page: is the service there, on what, with which model, how many wait."""

import json
from collections.abc import Sequence

from app.core.answers import Status
from app.core.errors import ServiceError
from app.core.schema import JobError
from app.ui.addresses import LOGOUT_PATH
from app.ui.form import named
from app.ui.link import ServiceState
from app.ui.markup import Markup, action, join, notice
from app.ui.strings import CHINESE, ENGLISH, Words

SAYS_MORE = ("unreadable_picture",)  # codes whose message names the limit that their text does not
SCRIPT_TEXTS = {
    "close": "close", "cut": "page_cut", "next": "lightbox_next", "previous": "lightbox_previous",
    "zoom": "lightbox_zoom", "favourite": "lightbox_favourite", "download": "lightbox_download",
    "delete": "lightbox_delete", "select": "lightbox_select", "question": "delete_question", "yes": "delete_yes",
    "no": "keep", "use": "use_as_settings", "start": "use_as_start", "compare": "compare", "slider": "compare_slider",
    "differs": "compare_differs", "same": "compare_same", "chain": "chain", "alike": "alike",
}  # fmt: skip


def header(state: ServiceState, url: str, words: Words, person: str | None = None) -> Markup:
    """Brand and state; when the service does not answer, what to do about it. `person` is who logged in."""
    if state.status is None:
        line = Markup('<p class="at-state"><b><span class="at-dot at-dot-off"></span>{}</b></p>').format(
            words("service_refuses") if state.reached else words("service_offline")
        )
        below = Markup('<div role="alert">{}</div>').format(_instruction(state, url, words))
    else:
        line, below = _online(state.status, words), _trouble(state.status, words)
    links = Markup('<div class="at-links">{}{}</div>').format(_log_out(person, words), _other_language(words))
    return Markup('<div class="at-header">{}{}{}</div>{}<span id="at-words" hidden data-texts="{}"></span>').format(
        brand(words), line, links, below, _texts_for_scripts(words)
    )


def brand(words: Words) -> Markup:
    """The name, with its mark."""
    return Markup('<h1 class="at-brand"><span class="at-mark" aria-hidden="true"></span>{}</h1>').format(
        words("app_name")
    )


def _log_out(person: str | None, words: Words) -> Markup:
    if person is None:
        return Markup("")
    return Markup(
        '<form method="post" action="{}"><button type="submit" class="at-language">{}</button></form>'
    ).format(LOGOUT_PATH.lstrip("/"), words("log_out", name=person))


def _other_language(words: Words) -> Markup:
    """A button to the other language, named in that one."""
    other = ENGLISH if words.language == CHINESE else CHINESE
    return Markup('<button type="button" class="at-language" lang="{0}" data-language="{0}">{1}</button>').format(
        other, words("other_language")
    )


def _texts_for_scripts(words: Words) -> str:
    """What `static/*.js` says by itself, as JSON."""
    return json.dumps({name: words(key) for name, key in SCRIPT_TEXTS.items()}, ensure_ascii=False)


def devices_line(status: Status) -> str:
    """`CPU`, or the names of the accelerators."""
    names = [device.name or device.device for device in status.devices]
    return ", ".join(dict.fromkeys(names))


def error_text(error: ServiceError, words: Words) -> str:
    """What the service said, in the reader's language where the page knows the code."""
    if error.errors:
        return "; ".join(
            words(
                "problem_range",
                field=named(str(wrong.get("field")), words),
                value=str(wrong.get("value"))[:80],
                allowed=words.told(str(wrong.get("allowed"))),
            )
            for wrong in error.errors
        )
    known = words.find(f"error_{error.code}")
    if error.code in SAYS_MORE:
        return words.told(error.message, known)
    return known or words.told(error.message, words("error_service_error"))


def hint_text(code: str, hint: str | None, words: Words) -> str | None:
    """What would help, in the reader's language."""
    return words.find(f"hint_{code}") or (words.told(hint) if hint else None)


def _online(status: Status, words: Words) -> Markup:
    queue, loaded = status.queue, status.loaded_models
    waiting, busy = queue.queued, queue.running
    dot = "at-dot at-dot-wait" if status.stopping or queue.paused else "at-dot"
    paused = "service_paused" if queue.paused else "service_online"
    state = "service_stopping" if status.stopping else paused
    parts = [devices_line(status)] if status.devices else []
    parts.append(words("header_loaded", models=", ".join(loaded)) if loaded else words("header_nothing_loaded"))
    if busy:
        parts.append(words.count("header_running", busy))
    parts.append(words.count("header_waiting", waiting) if waiting else words("header_none_waiting"))
    return Markup('<p class="at-state"><b><span class="{}"></span>{}</b>{}</p>').format(
        dot, words(state), join(Markup("<span>{}</span>").format(part) for part in parts)
    )


def _instruction(state: ServiceState, url: str, words: Words) -> Markup:
    problem = state.problem
    if problem is None or not state.reached:
        return notice(words("service_start_it", url=url), "bad", words("service_comes_back"))
    return notice(error_text(problem, words), "bad", hint_text(problem.code, problem.hint, words))


def _trouble(status: Status, words: Words) -> Markup:
    def told(found: Sequence[JobError]) -> list[str]:
        said = [words.find(f"error_{each.code}") or words.told(each.message) for each in found]
        return list(dict.fromkeys(said))

    notices = [notice(words("service_trouble", text=text), "bad") for text in told(status.problems)]
    notices += [notice(text) for text in told(status.warnings)]
    if status.queue.paused:
        resume = action("resume", words("queue_resume"), kind="primary")
        notices.append(
            Markup('<div class="at-notice at-notice-wait"><p>{}</p>{}</div>').format(words("queue_is_paused"), resume)
        )
    return Markup('<div role="alert">{}</div>').format(join(notices)) if notices else Markup("")
