"""What the chosen styles add to both prompts."""

from collections.abc import Sequence

from app.core.styles import Style
from app.ui.markup import Markup, join
from app.ui.strings import Words


def styles_look(chosen: Sequence[str], styles: Sequence[Style], words: Words) -> Markup:
    """Each chosen style with its texts; nothing if none is chosen."""
    known = {style.name: style for style in styles}
    rows = [_row(name, known.get(name), words) for name in chosen]
    return Markup('<ul class="at-style-list">{}</ul>').format(join(rows)) if rows else Markup("")


def _row(name: str, style: Style | None, words: Words) -> Markup:
    if style is None:
        return Markup('<li><b>{}</b> <span class="at-quiet">{}</span></li>').format(name, words("style_gone"))
    minus = Markup(" − {}").format(style.negative_prompt) if style.negative_prompt else Markup("")
    return Markup('<li><b>{}</b> <span class="at-quiet">{}{}</span></li>').format(name, style.prompt, minus)
