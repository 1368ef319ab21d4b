"""The picture to start from, and the mask over it; `static/paint.js` is where it is painted."""

from collections.abc import Sequence

from app.core.schema import MAX_EXTENSION, NO_SIDES
from app.core.sizes import RATIOS
from app.ui.addresses import MAX_UPLOAD_BYTES, UPLOAD_PATH
from app.ui.markup import Markup, action, attributes, icon, join, notice
from app.ui.strings import Words

KINDS = ".png,.jpg,.jpeg,.webp"


def input_url(sha256: str) -> str:
    """Where the page finds a picture that was uploaded to start from."""
    return f"atelier/input/{sha256}.png"


def drop_small(text: str) -> Markup:
    """Where a picture for a part of the form is dropped or chosen."""
    return Markup(
        '<label class="at-drop at-drop-small" data-upload="{address}" data-most="{most}">{icon}<span>{text}</span>'
        '<input type="file" class="at-hidden" accept="{kinds}"></label>'
    ).format(address=UPLOAD_PATH, most=MAX_UPLOAD_BYTES, icon=icon("picture"), text=text, kinds=KINDS)


def no_start(words: Words, *, gone: bool = False, unfolded: bool = False) -> Markup:
    """Where a picture is dropped, pasted or chosen. `gone` says that the one from before is no longer there."""
    said = notice(words("start_gone"), "wait") if gone else Markup("")
    return _folded("", join([said, drop_small(words("start_drop"))]), words, open_=gone or unfolded)


def start_panel(sha256: str, words: Words, mask: str | None = None, extend: Sequence[int] = NO_SIDES) -> Markup:
    """The picture with the tools to paint a mask and to extend it. `mask` is one to begin with, by its SHA-256."""
    picture = Markup(
        '<div class="at-extended"><div class="at-paint"><img src="{}" alt="{}" draggable="false">'
        '<canvas aria-hidden="true"></canvas></div></div>'
    ).format(input_url(sha256), words("start_picture"))
    says = Markup(
        '<p class="at-quiet at-paint-says" role="status" data-whole="{}" data-part="{}" data-wide="{}"></p>'
    ).format(words("start_whole"), words("start_part"), words("start_wide"))
    inside = join([picture, _tools(words), _sides(extend, words), says])
    return _folded(sha256, inside, words, open_=True, mask=input_url(mask) if mask else "")


def _folded(sha256: str, inside: Markup, words: Words, *, open_: bool, mask: str = "") -> Markup:
    """Closed until there is a picture: most people start from words."""
    marks = attributes({"data-start": sha256, "data-mask": mask, "open": open_})
    return Markup(
        '<details class="at-start"{}><summary>{}</summary><div class="at-start-inside">{}</div></details>'
    ).format(marks, words("start"), inside)


def _sides(extend: Sequence[int], words: Words) -> Markup:
    """How many pixels are drawn beyond each side, or what ratio that makes."""
    fields = [
        Markup(
            '<label><span aria-hidden="true">{}</span><input type="number" class="at-side" min="0" max="{}" step="8" '
            'value="{}" aria-label="{}"></label>'
        ).format(arrow, MAX_EXTENSION, pixels, words(f"start_{side}"))
        for arrow, pixels, side in zip("←↑→↓", extend, ("left", "top", "right", "bottom"), strict=True)
    ]
    ratios = join(Markup("<option>{}</option>").format(ratio) for ratio in RATIOS)
    to_ratio = Markup('<select class="at-to-ratio" aria-label="{}"><option value="">{}</option>{}</select>').format(
        words("start_to_ratio"), words("start_ratio"), ratios
    )
    return Markup('<div class="at-row at-sides" role="group" aria-label="{0}"><span>{0}</span>{1}{2}</div>').format(
        words("start_extend"), join(fields), to_ratio
    )


def _tools(words: Words) -> Markup:
    def tool(name: str, drawing: str, *, pressed: bool | None = None) -> Markup:
        text = words(f"start_{name}")
        state = Markup("") if pressed is None else Markup(' aria-pressed="{}"').format(str(pressed).lower())
        return Markup(
            '<button type="button" class="at-button at-plain at-bare" data-paint="{0}" aria-label="{1}" title="{1}"{2}>'
            "{3}</button>"
        ).format(name, text, state, icon(drawing))

    size = Markup(
        '<input type="range" class="at-brush" min="2" max="40" value="12" aria-label="{0}" title="{0}">'
    ).format(words("start_brush_size"))
    other = Markup(
        '<label class="at-button at-plain" data-upload="{}" data-most="{}"><span>{}</span>'
        '<input type="file" class="at-hidden" accept="{}"></label>'
    ).format(UPLOAD_PATH, MAX_UPLOAD_BYTES, words("start_other"), KINDS)
    tools = [
        tool("brush", "brush", pressed=True),
        tool("eraser", "eraser", pressed=False),
        tool("crop", "crop", pressed=False),
        size,
        tool("undo", "undo"),
        tool("clear", "trash"),
    ]
    row = Markup('<div class="at-row at-paint-tools" role="toolbar" aria-label="{}">{}</div>').format(
        words("start_tools"), join(tools)
    )
    return row + Markup('<div class="at-row">{}{}</div>').format(
        other, action("remove-start", words("start_remove"), picture="close")
    )
