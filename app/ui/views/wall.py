"""The library as a wall of pictures: many on a screen, each with its star, its tick and its place in the lightbox."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.ui.markup import Markup, action, join, notice
from app.ui.strings import Words
from app.ui.views.library import SMALL, mark_of_pictures, pager
from app.ui.views.pictures import facts, favourite_button, thumbnail_url, zoomable

MAX_PROMPT_CHARS = 600  # of a prompt on the wall; the whole one is in the file


def wall_page(
    images: Sequence[Any],
    *,
    before: Sequence[str],
    following: str | None,
    count: int | None,
    searched: bool,
    words: Words,
) -> Markup:
    """One page of pictures with its pager. `before` are the cursors of the pages in front of it, the first left out."""
    frame = Markup('<div data-stack="{}" data-shows="library" data-mark="{}">{}</div>')
    here, mark = json.dumps(list(before)), mark_of_pictures(images)
    if not images:
        return frame.format(here, mark, notice(words("library_nothing_found") if searched else words("library_empty")))
    told = "" if count is None else words.count("pictures", count)
    cells = join(_cell(image, words) for image in images)
    wall = Markup('<p class="at-quiet at-count">{}</p>{}<ul class="at-wall">{}</ul>{}').format(
        told, _for_the_ticked(words), cells, pager(before, following, words)
    )
    return frame.format(here, mark, wall)


def _cell(image: Any, words: Words) -> Markup:
    request = dict(image.recipe.get("request") or {}) | {"seed": image.seed}
    known: dict[str, object] = {
        "id": image.id,
        "prompt": image.prompt[:MAX_PROMPT_CHARS],
        "favourite": "1" if image.favourite else "0",
        "facts": json.dumps(_about(image, request, words), ensure_ascii=False),
    }
    return Markup(
        '<li class="at-cell">{}<label class="at-pick"><input type="checkbox" data-pick="{}" aria-label="{}"></label>'
        '<span class="at-cell-star">{}</span></li>'
    ).format(
        zoomable(image, image.prompt, words, source=thumbnail_url(image.id, SMALL), known=known),
        image.id,
        words("library_select", prompt=image.prompt[:80]),
        favourite_button(image.id, image.favourite, words),
    )


def _about(image: Any, request: Mapping[str, Any], words: Words) -> list[tuple[str, str]]:
    size = {"width": image.width, "height": image.height, "model": image.model, "enable_hr": False}
    rows = facts({**request, **size}, image.seconds, words)
    return [*rows, (words("created"), f"{image.created_at:%Y-%m-%d %H:%M}")]


def _for_the_ticked(words: Words) -> Markup:
    """What can be done with all ticked pictures at once. `static/lightbox.js` shows it and says which those are."""
    question = (words("delete_many_question"), words("delete_yes"), words("keep"))
    buttons = [
        Markup('<a class="at-button at-plain" data-zip="atelier/pictures.zip" download="atelier.zip">{}</a>').format(
            words("download_zip")
        ),
        action("favourite-many", words("favourite"), picture="star"),
        Markup('<button type="button" class="at-button at-plain" data-compare hidden>{}</button>').format(
            words("compare")
        ),
        action("delete-many", words("delete"), picture="trash", kind="danger", confirm=question),
        Markup('<button type="button" class="at-button at-plain" data-untick>{}</button>').format(words("select_none")),
    ]
    return Markup(
        '<div class="at-picked at-row" role="region" aria-label="{}" hidden><b data-number="{}"></b>{}</div>'
    ).format(words("selected_pictures"), words("selected", n="0"), join(buttons))
