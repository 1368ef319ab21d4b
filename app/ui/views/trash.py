"""The trash as a view of the library: deleted pictures, how long they can still be had back, and how."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from app.core.schema import TrashedImage
from app.ui.markup import Markup, action, join, notice
from app.ui.strings import Words
from app.ui.views.library import mark_of_pictures

MAX_PROMPT_CHARS = 200
DAY_S = 86_400


def trash_page(images: Sequence[TrashedImage], days: float, *, searched: bool, words: Words) -> tuple[str, Markup]:
    """Its mark, and the pictures, the latest first. `days` is how long each stays; 0 = there is no trash."""
    mark = mark_of_pictures(images)
    frame = Markup('<div data-stack="[]" data-shows="library" data-mark="{}">{}</div>')
    if not images:
        nothing = words("trash_empty", days=f"{days:g}") if days else words("trash_none")
        return mark, frame.format(mark, notice(words("library_nothing_found") if searched else nothing))
    question = (words("trash_empty_question"), words("trash_remove"), words("keep"))
    above = Markup('<div class="at-row at-above"><span class="at-quiet">{}</span>{}</div>').format(
        words.count("pictures", len(images)),
        action("empty-trash", words("trash_empty_it"), picture="trash", kind="danger", confirm=question),
    )
    cells = join(_cell(image, days, words) for image in images)
    return mark, frame.format(mark, above + Markup('<ul class="at-trash">{}</ul>').format(cells))


def _cell(image: TrashedImage, days: float, words: Words) -> Markup:
    gone = (datetime.now(UTC) - image.deleted_at).total_seconds() / DAY_S
    question = (words("trash_remove_question"), words("trash_remove"), words("keep"))
    data: dict[str, object] = {"id": image.id}
    return Markup(
        '<li data-deleted="{}"><img src="atelier/trash/{}.webp" alt="{}" width="{}" height="{}" loading="lazy">'
        '<p class="at-prompt">{}</p><p class="at-quiet">{}</p><div class="at-row">{}{}</div></li>'
    ).format(
        image.id,
        image.id,
        image.prompt[:MAX_PROMPT_CHARS],
        image.width,
        image.height,
        image.prompt[:MAX_PROMPT_CHARS],
        words.count("trash_days_left", max(0, math.ceil(days - gone))),
        action("untrash", words("trash_restore"), picture="undo", data=data),
        action("remove", words("trash_remove"), picture="trash", bare=True, data=data, confirm=question),
    )
