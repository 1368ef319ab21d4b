"""What a picture file says about how it was made. Everything in it came from outside: it is shown as text only."""

import json
from collections.abc import Mapping
from typing import Any

from app.core.answers import Inspection
from app.core.fitting import Difference, Fit
from app.core.task import Task
from app.ui.addresses import MAX_UPLOAD_BYTES, UPLOAD_PATH
from app.ui.form import named
from app.ui.markup import Markup, action, icon, join, notice
from app.ui.strings import Words
from app.ui.views.grid import grid_button
from app.ui.views.pictures import facts, facts_list

MAX_SHOWN_CHARS = 16_384
MAX_SHOWN_FIELDS = 64


def drop_zone(text: str) -> Markup:
    """Where a picture is dropped, pasted or chosen. `static/page.js` sends it to the page as bytes."""
    return Markup(
        '<label class="at-drop" data-upload="{address}" data-most="{most}">{icon}<span>{text}</span>'
        '<input type="file" class="at-hidden" accept=".png,.jpg,.jpeg,.webp,.avif"></label>'
    ).format(address=UPLOAD_PATH, most=MAX_UPLOAD_BYTES, icon=icon("picture"), text=text)


def inspection_page(found: Inspection, words: Words, fit: Fit | None = None) -> Markup:
    """What was found, with buttons that use it if the file holds a request: as it is, and where it asks for something
    that is not to be had here, as `fit` has it."""
    kind, made_by = found.kind, (found.made_by or found.kind)[:80]
    known = words.find(f"inspect_kind_{kind}") or (
        words("inspect_kind_read", made_by=made_by) if found.request else None
    )
    about = known or words("inspect_kind_other", made_by=made_by)
    size = words("inspect_size", width=found.width, height=found.height)
    parts = [notice(f"{about} {size}", "good" if found.request else "quiet")]
    if found.request:
        parts += _recipe(found.request, found.model, words)
    if fit is not None and fit.differences:
        parts.append(_differences(fit, words))
    use = _use(found.request, words, first=fit is None or not fit.differences)
    buttons = [_again(found, words), _fit(fit, words), use, _start(words)]
    parts.append(Markup('<div class="at-row">{}</div>').format(join(buttons)))
    parts += [_labels(found.labels, words), _raw(found.parameters, words), _texts(found.texts, words)]
    return Markup('<section class="at-card">{}</section>').format(join(parts))


def _recipe(request: Mapping[str, Any], model: str, words: Words) -> list[Markup]:
    parts = [Markup('<p class="at-prompt">{}</p>').format(_short(request.get("prompt") or ""))]
    if request.get("negative_prompt"):
        negative = words("field_negative_prompt"), _short(request["negative_prompt"])
        parts.append(Markup('<p class="at-quiet">{}: {}</p>').format(*negative))
    rows = [(words("field_model"), model)] if model else []
    rows += [(name, _short(value)) for name, value in facts(request, None, words)]
    parts.append(facts_list(rows))
    return parts


def _differences(fit: Fit, words: Words) -> Markup:
    """What the recipe says that is not to be had here, and what is taken for it."""

    def line(each: Difference) -> Markup:
        taken = words("inspect_left_out") if each.fitted is None else str(each.fitted)
        said = words("inspect_differs", field=named(each.name, words), asked=_short(each.asked), taken=taken)
        return Markup("<li>{}</li>").format(said)

    return Markup('<div class="at-notice at-notice-wait at-differences"><p>{}</p><ul>{}</ul></div>').format(
        words("inspect_differences"), join(line(each) for each in fit.differences)
    )


def _fit(fit: Fit | None, words: Words) -> Markup:
    if fit is None or not fit.differences or not fit.request.get("prompt"):
        return Markup("")
    text = words("inspect_fit", model=fit.model.title or fit.model.key)
    return action("apply", text, picture="reuse", kind="primary", data=_request_of(fit.request))


def _use(request: Mapping[str, Any] | None, words: Words, *, first: bool) -> Markup:
    if not request:
        return Markup("")
    kind = "primary" if first else "plain"
    text = words("inspect_again" if request.get("task") == Task.UPSCALE.value else "use_as_settings")
    return action("apply", text, picture="reuse", kind=kind, data=_request_of(request))


def _request_of(request: Mapping[str, Any]) -> dict[str, object]:
    """The request travels in the button, so the server remembers nothing; the service checks it like any other."""
    return {"request": json.dumps(request, ensure_ascii=False)}


def _again(found: Inspection, words: Words) -> Markup:
    return grid_button(found.grid, words) if found.grid else Markup("")


def _start(words: Words) -> Markup:
    """`static/paint.js` hands the inspected file in once more: the page has kept nothing of it."""
    return Markup('<button type="button" class="at-button at-plain" data-inspected>{}<span>{}</span></button>').format(
        icon("start"), words("use_as_start")
    )


def _labels(labels: Mapping[str, Any], words: Words) -> Markup:
    if not labels:
        return Markup("")
    rows = [(_short(name), _short(value)) for name, value in list(labels.items())[:MAX_SHOWN_FIELDS]]
    return Markup('<details class="at-more"><summary>{}</summary>{}</details>').format(
        words("inspect_labels"), facts_list(rows)
    )


def _raw(parameters: str | None, words: Words) -> Markup:
    if not parameters:
        return Markup("")
    return Markup('<details class="at-more"><summary>{}</summary><pre tabindex="0">{}</pre></details>').format(
        words("inspect_raw"), _short(parameters)
    )


def _texts(texts: Mapping[str, str], words: Words) -> Markup:
    if not texts:
        return Markup("")
    shown = join(
        Markup('<h3>{}</h3><pre tabindex="0">{}</pre>').format(_short(name), _short(text))
        for name, text in list(texts.items())[:MAX_SHOWN_FIELDS]
    )
    return Markup('<details class="at-more"><summary>{}</summary>{}</details>').format(words("inspect_texts"), shown)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + " …"
