"""The right side of the generate tab: the job looked at, and the others of this browser. And the example prompts."""

from collections.abc import Sequence

from app.core.schema import Job
from app.ui.markup import Markup, icon, join, notice
from app.ui.strings import Words
from app.ui.views.job import JobNow, job_card, job_chip


def stage(now: JobNow | None, others: Sequence[Job], words: Words, *, trouble: str | None = None) -> Markup:
    """The big card and the small ones. `trouble` says why what is shown may be old."""
    warning = notice(trouble, "bad", words("job_is_safe")) if trouble else Markup("")
    card = job_card(now, words) if now is not None else Markup("") if trouble else _empty(words)
    chips = join(job_chip(job, words) for job in others)
    below = Markup('<h2 class="at-quiet">{}</h2><ul class="at-chips">{}</ul>').format(words("other_jobs"), chips)
    return join([warning, card, below if others else Markup("")])


def examples(prompts: Sequence[str], words: Words) -> Markup:
    """Prompts to begin with, as buttons."""
    buttons = join(
        Markup(
            '<button type="button" class="at-example" data-act="example" data-text="{0}" title="{0}">{0}</button>'
        ).format(text)
        for text in prompts
    )
    return Markup(
        '<div class="at-examples" role="group" aria-label="{0}"><span class="at-quiet">{0}</span>{1}</div>'
    ).format(words("examples"), buttons)


def _empty(words: Words) -> Markup:
    return Markup('<div class="at-empty">{}<p class="at-lead">{}</p><p>{}</p></div>').format(
        icon("picture"), words("empty_title"), words("empty_text")
    )
