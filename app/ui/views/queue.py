"""The queue tab: every job, where it is, and what can be done with it."""

from collections.abc import Sequence

from app.core.schema import Job, JobState
from app.ui.markup import Markup, action, badge, join, notice
from app.ui.strings import Words
from app.ui.times import ago
from app.ui.views.job import progress_bar, situation
from app.ui.views.pictures import thumbnail_url

SHOWN_PICTURES = 4


def queue_page(jobs: Sequence[Job], words: Words, *, only_open: bool, paused: bool) -> Markup:
    """The jobs as a list, or a sentence that there are none; above them what can be done with all of them."""
    # While it is paused the header offers to go on, on every tab.
    above = Markup("") if paused else action("pause", words("queue_pause"), picture="pause")
    buttons = Markup('<div class="at-row at-above">{}</div>').format(above)
    if not jobs:
        return buttons + notice(words("queue_nothing_waits") if only_open else words("queue_empty"))
    return buttons + Markup('<ul class="at-queue">{}</ul>').format(join(_row(job, words) for job in jobs))


def _row(job: Job, words: Words) -> Markup:
    request = job.request
    about = " · ".join(
        [
            str(request.model),
            f"{request.width} × {request.height}",
            words.count("pictures", request.num_images),
            words.find(f"origin_{job.origin}") or job.origin,
            ago(job.created_at, words),
        ]
    )
    pictures = join(
        Markup('<img src="{}" alt="" width="48" height="48" loading="lazy">').format(thumbnail_url(image.id, 256))
        for image in job.images[:SHOWN_PICTURES]
    )
    text = situation(job, words)
    if job.error is not None:
        text = words.find(f"error_{job.error.code}") or words.told(job.error.message)
    return Markup(
        '<li class="at-card at-queue-row" data-job="{}" data-state="{}"><div class="at-queue-text">'
        '<p class="at-prompt">{}</p><p class="at-quiet">{}</p></div><div class="at-queue-state">'
        '<p class="at-situation">{}{}</p>{}</div><div class="at-thumbs">{}</div><div class="at-row">{}</div></li>'
    ).format(
        job.id,
        job.state,
        request.prompt,
        about,
        badge(words(f"state_{job.state}"), job.state),
        text if job.state not in (JobState.CANCELLED,) else "",
        Markup("") if job.state.finished else progress_bar(job, words),
        pictures,
        join(_buttons(job, words)),
    )


def _buttons(job: Job, words: Words) -> list[Markup]:
    data: dict[str, object] = {"id": job.id}
    buttons = [action("show", words("show_job"), picture="show", data=data)]
    if job.state.finished:
        return [*buttons, action("again", words("run_again"), picture="reuse", data=data)]
    return [*buttons, action("cancel", words("cancel"), picture="stop", kind="stop", data=data)]
