"""The styles: what the chosen ones add to both prompts, and how each looks."""

from collections.abc import Mapping, Sequence

from app.core.styles import Style
from app.ui.markup import Markup, action, attributes, icon, join
from app.ui.strings import Words

OPENED = 'class="at-style-cards"'  # stands in the cards while they are shown


def styles_look(chosen: Sequence[str], styles: Sequence[Style], words: Words) -> Markup:
    """Each chosen style with its texts; nothing if none is chosen."""
    known = {style.name: style for style in styles}
    rows = [_row(name, known.get(name), words) for name in chosen]
    return Markup('<ul class="at-style-list">{}</ul>').format(join(rows)) if rows else Markup("")


def closed_cards(words: Words) -> Markup:
    """A button that shows them."""
    return action("styles-show", words("styles_show"), picture="picture")


def style_cards(chosen: Sequence[str], styles: Sequence[Style], pictures: Mapping[str, str], words: Words) -> Markup:
    """All styles as pictures, each a button that chooses it or lets it go; `pictures` are ids by name."""
    cards = join(_card(style, style.name in chosen, pictures.get(style.name), words) for style in styles)
    above = action("styles-hide", words("styles_hide"), picture="close")
    return Markup('{}<p class="at-quiet">{}</p><ul {}>{}</ul>').format(
        above, words("styles_about"), Markup(OPENED), cards
    )


def _card(style: Style, chosen: bool, picture: str | None, words: Words) -> Markup:
    marks: dict[str, object] = {
        "type": "button",
        "aria-pressed": "true" if chosen else "false",
        "data-id": style.name,
        "title": style.prompt,
    }
    shown = Markup('<span class="at-no-picture" aria-hidden="true">{}</span>').format(icon("picture"))
    if picture:
        shown = Markup('<img src="atelier/thumbnail/{}.webp?w=256" alt="" loading="lazy">').format(picture)
    return Markup('<li><button class="at-style" data-act="style"{}>{}<span>{}</span></button></li>').format(
        attributes(marks), shown, style.name
    )


def _row(name: str, style: Style | None, words: Words) -> Markup:
    if style is None:
        return Markup('<li><b>{}</b> <span class="at-quiet">{}</span></li>').format(name, words("style_gone"))
    minus = Markup(" − {}").format(style.negative_prompt) if style.negative_prompt else Markup("")
    return Markup('<li><b>{}</b> <span class="at-quiet">{}{}</span></li>').format(name, style.prompt, minus)
