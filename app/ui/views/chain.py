"""Where a picture stands among others: what it was made from, and what was made from it."""

from collections.abc import Sequence

from app.core.answers import Chain, Image, Parent
from app.ui.markup import Markup, action, join
from app.ui.strings import Words
from app.ui.views.library import SMALL
from app.ui.views.pictures import picture_url, thumbnail_url
from app.ui.views.start import input_url


def chain_page(image_id: str, prompt: str, chain: Chain, words: Words) -> Markup:
    """The picture over the one that it was made from, with a line to move; both ways as small pictures."""
    close = action("chain-close", words("close"), picture="close", bare=True)
    head = Markup('<header><h3 class="at-prompt">{}</h3>{}</header>').format(prompt, close)
    before = next((source for parent in chain.made_from if (source := _source(parent))), None)
    shown = _both(before, picture_url(image_id), words) if before else Markup("")
    ways = [
        _way(words("chain_made_from"), [_parent(parent, words) for parent in chain.made_from], words("chain_nothing")),
        _way(words("chain_became"), [_child(image, words) for image in chain.became], words("chain_not_yet")),
    ]
    return Markup('<section class="at-card at-group at-chain" data-chain="{}">{}{}{}</section>').format(
        image_id, head, shown, join(ways)
    )


def _both(before: str, after: str, words: Words) -> Markup:
    return Markup(
        '<div class="at-compare"><img src="{}" alt="{}"><img class="at-over" src="{}" alt="{}"></div>'
        '<input type="range" min="0" max="100" value="50" class="at-compare-slider" data-over aria-label="{}">'
    ).format(before, words("chain_before"), after, words("chain_after"), words("compare_slider"))


def _source(parent: Parent) -> str | None:
    if parent.image is not None:
        return picture_url(parent.image.id)
    return input_url(parent.sha256) if parent.sha256 else None


def _way(title: str, items: Sequence[Markup], nothing: str) -> Markup:
    inside = Markup('<ul class="at-row at-thumbs">{}</ul>').format(join(items)) if items else Markup(
        '<p class="at-quiet">{}</p>'
    ).format(nothing)  # fmt: skip
    return Markup("<h4>{}</h4>{}").format(title, inside)


def _parent(parent: Parent, words: Words) -> Markup:
    if parent.image is not None:
        return _child(parent.image, words)
    said = words("chain_deleted" if parent.deleted else "chain_outside")
    picture = Markup('<img src="{}" alt="">').format(input_url(parent.sha256)) if parent.sha256 else Markup("")
    return Markup('<li>{}<span class="at-quiet">{}</span></li>').format(picture, said)


def _child(image: Image, words: Words) -> Markup:
    return Markup(
        '<li><button type="button" class="at-bare" data-act="chain" data-id="{}" aria-label="{}">'
        '<img src="{}" alt=""></button></li>'
    ).format(image.id, words("chain_of", prompt=image.prompt[:80]), thumbnail_url(image.id, SMALL))
