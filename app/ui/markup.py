"""HTML that cannot be broken out of: every piece is a `Markup`, and `format` escapes all values put into it."""

from collections.abc import Iterable

from markupsafe import Markup, escape

__all__ = ["Markup", "action", "attributes", "badge", "bar", "escape", "icon", "join", "notice"]

# 24 x 24 line drawings of our own; the text beside or inside `aria-label` says the same in words.
_PATHS = {
    "download": "M12 4v11m0 0 4-4m-4 4-4-4M5 20h14",
    "star": "m12 4 2.5 5.1 5.5.8-4 3.9.9 5.5-4.9-2.6-4.9 2.6.9-5.5-4-3.9 5.5-.8z",
    "trash": "M5 7h14M10 7V5h4v2m-7 0 1 12h8l1-12M10 11v5m4-5v5",
    "copy": "M9 9h10v11H9zM5 15V4h10",
    "reuse": "M4 12a8 8 0 0 1 14-5l2 2m0-5v5h-5M20 12a8 8 0 0 1-14 5l-2-2m0 5v-5h5",
    "stop": "M7 7h10v10H7z",
    "pause": "M9 6v12m6-12v12",
    "close": "m6 6 12 12M18 6 6 18",
    "older": "m9 5 7 7-7 7",
    "newer": "m15 5-7 7 7 7",
    "first": "m18 5-7 7 7 7M6 5v14",
    "front": "M6 4h12M12 20V9m0 0-5 5m5-5 5 5",
    "up": "m6 15 6-7 6 7",
    "down": "m6 9 6 7 6-7",
    "higher": "M12 5v14M5 12h14",
    "lower": "M5 12h14",
    "show": "M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6zm9 2.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
    "load": "M12 4v9m0 0 3-3m-3 3-3-3M4 13v6h16v-6",
    "unload": "M12 13V4m0 0 3 3m-3-3-3 3M4 13v6h16v-6",
    "brush": "M4 20c3 1 6 0 6-3a2.5 2.5 0 0 0-4-2c-1.5 1-1 3.5-2 5zM10.5 14.5 20 4M8 14l2.5 2.5",
    "crop": "M7 3v14h14M3 7h14v14",
    "eraser": "m8 19-4-4 9.5-9.5 6 6L12 19H8zm0 0h12M9 10l5.5 5.5",
    "undo": "M9 6 4 11l5 5M4 11h10a5 5 0 0 1 0 10h-2",
    "variations": "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
    "upscale": "M4 13h7v7H4zM9 4h11v11M20 4l-8 8",
    "start": "M4 5h9v14H4zM13 12h7m0 0-3-3m3 3-3 3",
    "picture": "M4 5h16v14H4zm0 11 5-5 4 4 3-3 4 4M15.5 9.5h.01",
}


def join(parts: Iterable[Markup]) -> Markup:
    """Pieces one after the other; a plain `str` among them is escaped."""
    return Markup("").join(parts)


def attributes(values: dict[str, object]) -> Markup:
    """` name="value"` for each; None and False are left out, True gives the bare name."""
    parts = [
        Markup(" {}").format(name) if value is True else Markup(' {}="{}"').format(name, str(value))
        for name, value in values.items()
        if value is not None and value is not False
    ]
    return join(parts)


def icon(name: str) -> Markup:
    """A small drawing that screen readers skip."""
    return Markup(
        '<svg class="at-icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="{}"/></svg>'
    ).format(_PATHS[name])


def action(
    act: str,
    text: str,
    *,
    picture: str | None = None,
    bare: bool = False,
    kind: str = "plain",
    data: dict[str, object] | None = None,
    confirm: tuple[str, str, str] | None = None,
    disabled: bool = False,
    pressed: bool | None = None,
) -> Markup:
    """A button that sends `act` and `data` to the tab's handler. `bare` shows only the icon and says the text.

    `confirm` is (question, yes, no): asked first in a dialog.
    """
    classes = f"at-button at-{kind}" + (" at-bare" if bare else "")
    marks: dict[str, object] = {"type": "button", "class": classes, "data-act": act, "disabled": disabled}
    marks |= {f"data-{name}": value for name, value in (data or {}).items()}
    if confirm:
        marks |= {"data-confirm": confirm[0], "data-yes": confirm[1], "data-no": confirm[2]}
    if bare:
        marks |= {"aria-label": text, "title": text}
    if pressed is not None:
        marks["aria-pressed"] = "true" if pressed else "false"
    inside = join([icon(picture)] if picture else [])
    if not bare:
        inside += Markup("<span>{}</span>").format(text)
    return Markup("<button{}>{}</button>").format(attributes(marks), inside)


def badge(text: str, kind: str) -> Markup:
    """A small word with a colour: `kind` is a job state, `good`, `quiet` or `bad`."""
    return Markup('<span class="at-badge at-badge-{}">{}</span>').format(kind, text)


def notice(text: str, kind: str = "quiet", hint: str | None = None) -> Markup:
    """A sentence in a box: `quiet`, `good` or `bad`."""
    more = Markup('<p class="at-hint">{}</p>').format(hint) if hint else Markup("")
    return Markup('<div class="at-notice at-notice-{}"><p>{}</p>{}</div>').format(kind, text, more)


def bar(label: str, share: float | None) -> Markup:
    """A bar; without a share it only says that something is going on."""
    percent = None if share is None else round(min(max(share, 0.0), 1.0) * 100)
    marks: dict[str, object] = {"class": "at-bar", "role": "progressbar", "aria-label": label}
    marks |= {"aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": percent}
    if percent is None:
        return Markup('<div{}><div class="at-bar-fill at-going"></div></div>').format(attributes(marks))
    return Markup('<div{}><div class="at-bar-fill" style="width:{}%"></div></div>').format(attributes(marks), percent)
