"""The picture that holds the new one, and beside it what its control model sees of it."""

from app.core.control import ControlUnit, Preprocessor
from app.ui.markup import Markup, action, join, notice
from app.ui.strings import Words
from app.ui.views.start import drop_small, input_url


def seen_url(unit: ControlUnit) -> str:
    """Where the page finds what a control model sees of an uploaded picture."""
    return f"atelier/seen/{unit.preprocessor}/{unit.image}.png"


def no_control(words: Words) -> Markup:
    """Where a picture is dropped or chosen."""
    return drop_small(words("control_drop"))


def control_view(unit: ControlUnit, more: int, words: Words, missing: str | None = None) -> Markup:
    """The picture, what is seen of it, and the way to take it out; `more` units beside it are only counted.

    `missing` is the title of the model that is not here and would have to look at it; "" where none is known.
    """
    pictures = [(input_url(unit.image), words("control_picture"))]
    if unit.preprocessor is not Preprocessor.NONE and missing is None:
        pictures.append((seen_url(unit), words("control_seen")))
    shown = join([Markup('<img src="{}" alt="{}">').format(*each) for each in pictures])
    count = Markup('<p class="at-quiet">{}</p>').format(words("control_more", count=more)) if more else Markup("")
    gone = action("remove-control", words("start_remove"), picture="close")
    said = Markup("") if missing is None else notice(words("control_missing", model=missing or "–"), "wait")
    return Markup('<div class="at-control-pictures">{}</div>{}{}<div class="at-row">{}</div>').format(
        shown, said, count, gone
    )
