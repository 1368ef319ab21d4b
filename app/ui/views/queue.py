"""The queue tab: every job, where it is, and what can be done with it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from app.core.schema import MAX_PRIORITY, Job, JobState, Move
from app.ui.markup import Markup, action, badge, join, notice
from app.ui.strings import Words
from app.ui.times import ago
from app.ui.views.job import progress_bar, situation
from app.ui.views.pictures import thumbnail_url

SHOWN_PICTURES = 4


@dataclass(frozen=True)
class QueueView:
    """One page of the list. `place` are the cursors of the pages before and of this one, `following` of the next.

    `nothing` is said when there is no job to show. `some_open`: there are jobs that can be cancelled, here or not;
    `some_ended`: there may be some to clear.
    """

    jobs: Sequence[Job]
    place: Sequence[str]
    following: str | None
    nothing: str
    paused: bool
    some_open: bool
    some_ended: bool


def queue_page(view: QueueView, words: Words) -> Markup:
    """The jobs as a list, or a sentence that there are none; above them what can be done with all of them."""
    above = []
    if not view.paused:  # while it is paused the header offers to go on, on every tab
        above.append(action("pause", words("queue_pause"), picture="pause"))
    if view.some_open:
        question = (words("queue_cancel_all_question"), words("queue_cancel_all"), words("keep"))
        above.append(action("cancel-all", words("queue_cancel_all"), picture="stop", kind="stop", confirm=question))
    if view.some_ended:
        above.append(action("clear", words("queue_clear"), picture="eraser"))
    buttons = Markup('<div class="at-row at-above">{}</div>').format(join(above))
    rows = join(_row(job, words) for job in view.jobs)
    listed = Markup('<ul class="at-queue">{}</ul>').format(rows) if view.jobs else notice(view.nothing)
    return buttons + listed + _pager(view, words)


def _pager(view: QueueView, words: Words) -> Markup:
    if not view.place and view.following is None:
        return Markup("")
    back: dict[str, object] = {"stack": json.dumps(list(view.place[:-1]))}
    on: dict[str, object] = {"stack": json.dumps([*view.place, view.following])}
    return Markup('<nav class="at-pager" aria-label="{}">{}<span class="at-quiet">{}</span>{}</nav>').format(
        words("pages"),
        action("turn", words("page_back"), picture="newer", data=back, disabled=not view.place),
        words("page_number", n=len(view.place) + 1),
        action("turn", words("page_on"), picture="older", data=on, disabled=view.following is None),
    )


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
        _order(job, words) if job.state is JobState.QUEUED else pictures,
        join(_buttons(job, words)),
    )


def _order(job: Job, words: Words) -> Markup:
    """Where a waiting job goes: among one's own, and before all others or behind them."""
    moves = join(
        action("move", words(f"queue_{to}"), picture=to.value, bare=True, data={"id": job.id, "to": to.value})
        for to in Move
    )
    steps = [("lower", -1), ("higher", 1)]
    lower, higher = (
        action(
            "priority", words(f"queue_{name}"), picture=name, bare=True,
            data={"id": job.id, "to": job.priority + step}, disabled=abs(job.priority + step) > MAX_PRIORITY,
        )
        for name, step in steps
    )  # fmt: skip
    said = words("queue_priority", n=f"{job.priority:+d}" if job.priority else "0")
    return Markup(
        '<div class="at-row at-order" role="group" aria-label="{}">{}{}<span class="at-quiet">{}</span>{}</div>'
    ).format(words("queue_order"), moves, lower, said, higher)


def _buttons(job: Job, words: Words) -> list[Markup]:
    data: dict[str, object] = {"id": job.id}
    buttons = [action("show", words("show_job"), picture="show", data=data)]
    if job.state.finished:
        return [*buttons, action("again", words("run_again"), picture="reuse", data=data)]
    return [*buttons, action("cancel", words("cancel"), picture="stop", kind="stop", data=data)]
