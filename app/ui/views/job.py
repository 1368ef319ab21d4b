"""One job as the generate tab shows it: in line, being drawn, done, failed or cancelled."""

import base64
from dataclasses import dataclass

from app.core.schema import Job, JobState
from app.ui.markup import Markup, action, badge, join, notice
from app.ui.strings import Words
from app.ui.times import duration
from app.ui.views.pictures import (
    copy_button,
    delete_button,
    download_link,
    facts,
    facts_list,
    favourite_button,
    how_far,
    other_formats,
    parameters_text,
    picture_url,
    ratio_style,
    start_button,
    upscale_button,
    variations_button,
    zoomable,
)

SAYS_MORE = ("generation_failed", "model_refused")  # codes whose message says what their text does not
LEAST_SHOWN_S = 0.5  # less is over before it is read


@dataclass(frozen=True)
class JobNow:
    """A job with what only a picture can say: its newest preview (JPEG), and which of its images are favourites."""

    job: Job
    preview: bytes | None = None
    favourites: frozenset[str] = frozenset()


def share_done(job: Job) -> float:
    """0 to 1. Loading counts as the first step of the way: a bar that jumps back worries people."""
    progress = job.progress
    if job.state.finished:
        return 1.0
    if progress is None or progress.of <= 0 or progress.phase == "queued":
        return 0.0
    return min(progress.step / progress.of, 1.0)


def situation(job: Job, words: Words) -> str:
    """Where the job is, in one sentence; from the second try on, which try it is."""
    text = _where(job, words)
    if not job.crashes or not job.max_crashes or job.state.finished:
        return text
    return words("job_try", text=text, number=job.crashes + 1, of=job.max_crashes)


def _where(job: Job, words: Words) -> str:
    if job.state is JobState.QUEUED:
        place = words("job_in_line", place=max(job.position or 1, 1))
        if job.waiting is not None:
            why = words.find(f"error_{job.waiting.code}") or job.waiting.message
            return words("job_waits", text=place, why=why)
        return _with_time(place, job.eta_s, words)
    if job.state is JobState.RUNNING:
        return _with_time(_running(job, words), job.eta_s, words)
    if job.state is JobState.SUCCEEDED and job.seconds is not None:
        return words("job_done_in", time=duration(job.seconds, words))
    return words(f"state_{job.state}")


def announcement(job: Job, words: Words) -> str:
    """What a screen reader hears: the state, and a quarter of the way at a time so that it does not chatter."""
    if job.state is JobState.RUNNING:
        return words("job_share_done", share=int(share_done(job) * 4) * 25)
    return situation(job, words) if job.state is JobState.QUEUED else words(f"state_{job.state}")


def progress_bar(job: Job, words: Words) -> Markup:
    """A bar with its value for screen readers."""
    share = round(share_done(job) * 100)
    return Markup(
        '<div class="at-bar" role="progressbar" aria-label="{}" aria-valuemin="0" aria-valuemax="100" '
        'aria-valuenow="{}"><div class="at-bar-fill" style="width:{}%"></div></div>'
    ).format(words("job_progress"), share, share)


def mark_of_job(job: Job) -> str:
    """Tells whether the same is shown of a job that has ended: its state and its pictures, as a short text."""
    return " ".join([job.id, job.state, *(image.id for image in job.images)])


def job_card(now: JobNow, words: Words) -> Markup:
    """The big card of the job that the reader looks at."""
    job = now.job
    body = {
        JobState.QUEUED: _open_body,
        JobState.RUNNING: _open_body,
        JobState.SUCCEEDED: _pictures_body,
        JobState.FAILED: _failed_body,
        JobState.CANCELLED: _cancelled_body,
    }[job.state](now, words)
    return Markup(
        '<section class="at-card at-job" data-job="{}" data-state="{}" data-shows="stage" data-mark="{}">'
        '<p class="at-prompt">{}</p><p class="at-hidden" aria-live="polite">{}</p>{}</section>'
    ).format(job.id, job.state, mark_of_job(job), job.request.prompt, announcement(job, words), body)


def job_chip(job: Job, words: Words) -> Markup:
    """A small button for another job of this page: look at it. And one that takes it off the page."""
    text = situation(job, words) if not job.state.finished else words(f"state_{job.state}")
    bar = Markup("") if job.state.finished else progress_bar(job, words)
    gone = action("dismiss", words("job_dismiss"), picture="close", bare=True, data={"id": job.id})
    return Markup(
        '<li><button type="button" class="at-chip" data-act="focus" data-id="{}"><span class="at-chip-prompt">{}'
        '</span><span class="at-chip-state">{}</span>{}</button>{}</li>'
    ).format(job.id, job.request.prompt, text, bar, gone)


def _with_time(text: str, eta_s: float | None, words: Words) -> str:
    if eta_s is None or eta_s < LEAST_SHOWN_S:
        return text
    return words("job_with_time", text=text, time=duration(eta_s, words))


def _running(job: Job, words: Words) -> str:
    progress = job.progress
    if progress is None or (progress.of <= 0 and progress.phase != "saving"):
        return words("job_starting")
    if progress.phase == "denoising":
        return words("job_step", step=progress.step, of=progress.of)
    return words.find(f"job_phase_{progress.phase}") or words("job_starting")


def _open_body(now: JobNow, words: Words) -> Markup:
    job = now.job
    ratio = ratio_style(job.request.width or 1, job.request.height or 1)
    canvas = Markup('<div class="at-canvas at-waiting" style="{}"></div>').format(ratio)
    if now.preview:
        data = base64.b64encode(now.preview).decode("ascii")
        canvas = Markup(
            '<div class="at-canvas" style="{}"><img src="data:image/jpeg;base64,{}" alt="{}"></div>'
        ).format(ratio, data, words("job_preview"))
    # Where the picture will stand, part for part as in `_pictures_body`: then nothing moves when it comes.
    picture = Markup('<div class="at-gallery at-gallery-one">{}</div>').format(canvas)
    return join(
        [
            Markup('<p class="at-situation">{}{}</p>').format(
                badge(words(f"state_{job.state}"), job.state), situation(job, words)
            ),
            progress_bar(job, words),
            picture,
            _gallery(now, words),
            _row([action("cancel", words("cancel"), picture="stop", kind="stop", data={"id": job.id}), _notify(words)]),
        ]
    )


def _notify(words: Words) -> Markup:
    """Asks the browser to tell when the job has ended; `static/notice.js` shows it where that can be done."""
    return Markup('<button type="button" class="at-button at-plain" data-notify hidden>{}</button>').format(
        words("notify_me")
    )


def _gallery(now: JobNow, words: Words) -> Markup:
    """The pictures that are saved so far; nothing if there is none."""
    job = now.job
    if not job.images:
        return Markup("")
    many = len(job.images) > 1
    figures = []
    for image in job.images:
        files = [download_link(image, words, bare=many), *([] if many else [other_formats(image, words)])]
        buttons = [
            start_button(image.id, words),
            variations_button(image.id, words),
            upscale_button(image.id, words),
            favourite_button(image.id, image.id in now.favourites, words),
            delete_button(image.id, words),
        ]
        caption = Markup('<span class="at-seed">{}</span>').format(words("seed_is", seed=image.seed)) if many else ""
        figures.append(
            Markup("<figure>{}<figcaption>{}{}</figcaption></figure>").format(
                zoomable(image, job.request.prompt, words, source=picture_url(image.id), eager=True),
                caption,
                _row([*files, *buttons] if many else [_row(files), _row(buttons)]),
            )
        )
    return Markup('<div class="at-gallery at-gallery-{}">{}</div>').format("many" if many else "one", join(figures))


def _pictures_body(now: JobNow, words: Words) -> Markup:
    job, request = now.job, now.job.request.model_dump()
    reuse = action("reuse", words("use_as_settings"), picture="reuse", data={"id": job.id})
    return join(
        [
            Markup('<p class="at-situation">{}{}</p>').format(
                badge(words("state_succeeded"), "succeeded"), situation(job, words)
            ),
            Markup('<div class="at-bar at-bar-over"></div>'),
            _gallery(now, words) or notice(words("job_pictures_deleted")),
            how_far(words) if job.images else Markup(""),
            _row([reuse, copy_button(parameters_text(job.request), words)]),
            *(
                notice(words.told(note, words("note_untold")))
                for note in dict.fromkeys(note for image in job.images for note in image.notes)
            ),
            facts_list(facts(request, job.seconds, words)),
        ]
    )


def _failed_body(now: JobNow, words: Words) -> Markup:
    error = now.job.error
    text = hint = None
    if error is not None:
        text = words.find(f"error_{error.code}") or words.told(error.message, words("error_generation_failed"))
        hint = words.find(f"hint_{error.code}") or (words.told(error.hint) if error.hint else None)
        if error.code in SAYS_MORE and words.told(error.message) != text:
            hint = " ".join(part for part in (words.told(error.message), hint) if part)
    again = action("again", words("try_again"), picture="reuse", data={"id": now.job.id})
    return notice(text or words("state_failed"), "bad", hint) + _gallery(now, words) + _row([again])


def _cancelled_body(now: JobNow, words: Words) -> Markup:
    again = action("again", words("run_again"), picture="reuse", data={"id": now.job.id})
    return notice(words("job_was_cancelled")) + _gallery(now, words) + _row([again])


def _row(buttons: list[Markup]) -> Markup:
    return Markup('<div class="at-row">{}</div>').format(join(buttons))
