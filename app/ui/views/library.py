"""Groups of saved pictures: the library's page, and the short history of the generate tab."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from app.ui.markup import Markup, action, join, notice
from app.ui.strings import Words
from app.ui.times import ago, duration
from app.ui.views.pictures import (
    delete_button,
    download_link,
    favourite_button,
    start_button,
    thumbnail_url,
    zoomable,
)

SMALL, LARGE = 256, 512
SHOWN_IN_HISTORY = 4


def mark_of_pictures(images: Iterable[Any]) -> str:
    """Tells whether the same pictures are shown: their ids and which are favourites, as a short text."""
    ids = " ".join(f"{image.id}{image.favourite}" for image in images)
    return hashlib.sha256(ids.encode()).hexdigest()[:16]


def mark_of(groups: Iterable[Any]) -> str:
    """`mark_of_pictures` for groups."""
    return mark_of_pictures(image for group in groups for image in group.images)


def library_page(
    groups: Sequence[Any], *, before: Sequence[str], following: str | None, searched: bool, words: Words
) -> Markup:
    """One page of groups with its pager. `before` are the cursors of the pages in front of it, the first left out.

    The page's own place travels in the buttons, so the server remembers nothing.
    """
    here = json.dumps(list(before))
    if not groups:
        text = words("library_nothing_found") if searched else words("library_empty")
        return Markup('<div data-stack="{}" data-shows="library" data-mark="{}">{}</div>').format(
            here, mark_of(groups), notice(text)
        )
    cards = join(_group(group, words) for group in groups)
    return Markup('<div data-stack="{}" data-shows="library" data-mark="{}">{}{}</div>').format(
        here, mark_of(groups), cards, pager(before, following, words)
    )


def history(groups: Sequence[Any], words: Words) -> Markup:
    """The latest groups, each with one button that brings all its settings back."""
    mark = mark_of(groups)
    if not groups:
        text = notice(words("history_empty"))
        return Markup('<div data-shows="history" data-mark="{}">{}</div>').format(mark, text)
    rows = []
    for group in groups:
        data: dict[str, object] = {"id": group.images[0].id}
        thumbs = join(
            zoomable(image, group.prompt, words, source=thumbnail_url(image.id, SMALL))
            for image in group.images[:SHOWN_IN_HISTORY]
        )
        rows.append(
            Markup(
                '<li class="at-past"><div class="at-past-thumbs">{}</div><div class="at-past-text">'
                '<p class="at-past-prompt">{}</p><p class="at-quiet">{}</p>{}</div></li>'
            ).format(
                thumbs,
                group.prompt,
                _about(group, words),
                action("restore", words("restore_settings"), picture="reuse", data=data),
            )
        )
    return Markup('<ul class="at-history" data-shows="history" data-mark="{}">{}</ul>').format(mark, join(rows))


def _group(group: Any, words: Words) -> Markup:
    figures = [
        Markup(
            '<figure>{}<figcaption><span class="at-seed">{}</span><span class="at-row">{}{}{}{}</span></figcaption>'
            "</figure>"
        ).format(
            zoomable(image, group.prompt, words, source=thumbnail_url(image.id, SMALL)),
            words("seed_is", seed=image.seed),
            start_button(image.id, words),
            favourite_button(image.id, image.favourite, words),
            download_link(image, words, bare=True),
            delete_button(image.id, words),
        )
        for image in group.images
    ]
    data: dict[str, object] = {"id": group.images[0].id}
    return Markup(
        '<article class="at-card at-group"><header><div><h3 class="at-prompt">{}</h3>'
        '<p class="at-quiet">{}</p></div>{}</header><div class="at-grid">{}</div></article>'
    ).format(
        group.prompt,
        _about(group, words),
        action("restore", words("use_as_settings"), picture="reuse", data=data),
        join(figures),
    )


def _about(group: Any, words: Words) -> str:
    parts = [group.model, words.count("pictures", len(group.images))]
    if group.seconds is not None:
        parts.append(duration(group.seconds, words))
    parts.append(ago(group.created_at, words))
    return " · ".join(parts)


def pager(before: Sequence[str], following: str | None, words: Words) -> Markup:
    """First, newer, older. The cursors travel in the buttons."""
    newer: dict[str, object] = {"stack": json.dumps(list(before[:-1]))}
    older: dict[str, object] = {"stack": json.dumps([*before, following])}
    return Markup('<nav class="at-pager" aria-label="{}">{}{}<span class="at-quiet">{}</span>{}</nav>').format(
        words("pages"),
        action("page", words("page_first"), picture="first", bare=True, data={"stack": "[]"}, disabled=not before),
        action("page", words("page_newer"), picture="newer", data=newer, disabled=not before),
        words("page_number", n=len(before) + 1),
        action("page", words("page_older"), picture="older", data=older, disabled=following is None),
    )
