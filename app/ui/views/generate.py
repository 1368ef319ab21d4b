"""Parts of the generate tab: the job looked at and the others of this browser, example prompts, advice."""

from collections.abc import Sequence
from pathlib import Path

from app.core.models import ModelInfo
from app.core.schema import Job
from app.ui.form import Form, beyond_good, named
from app.ui.markup import Markup, action, attributes, icon, join, notice
from app.ui.strings import Words
from app.ui.views.job import JobNow, job_card, job_chip

# What an empty page shows of the shipped model; `python -m tests.ui.samples` draws them.
SAMPLES_FOLDER = Path(__file__).resolve().parents[1] / "static" / "samples"
SAMPLES_MODEL = "pocket"
SAMPLES = ("apple", "garden", "city", "sunset", "cat", "squirrel", "glass", "street")


def stage(
    now: JobNow | None, others: Sequence[Job], words: Words, *, trouble: str | None = None, model: object = None
) -> Markup:
    """The big card and the small ones, or what `model` can draw. `trouble` says why what is shown may be old."""
    warning = notice(trouble, "bad", words("job_is_safe")) if trouble else Markup("")
    card = job_card(now, words) if now is not None else Markup("") if trouble else _empty(words, model)
    chips = join(job_chip(job, words) for job in others)
    below = Markup('<h2 class="at-quiet">{}</h2><ul class="at-chips">{}</ul>').format(words("other_jobs"), chips)
    return join([warning, card, below if others else Markup("")])


def examples(prompts: Sequence[str], words: Words) -> Markup:
    """Prompts to begin with, as buttons; `static/page.js` types them, so that Ctrl+Z takes them back. Above them is the
    place where `static/coach.js` offers words."""
    buttons = join(
        Markup('<button type="button" class="at-example" data-words="{0}" title="{0}">{0}</button>').format(text)
        for text in prompts
    )
    said = {"data-read-as": words("coach_read_as"), "data-nearest": words("coach_nearest")}
    coach = Markup('<div class="at-coach" role="group" aria-label="{}"{}></div>').format(
        words("coach"), attributes({**said, "data-unknown": words("coach_unknown")})
    )
    return coach + Markup(
        '<div class="at-examples" role="group" aria-label="{0}"><span class="at-quiet">{0}</span>{1}</div>'
    ).format(words("examples"), buttons)


def advice(form: Form, model: ModelInfo, words: Words) -> Markup:
    """Where the model draws well, if the form is elsewhere, with a button that goes there."""
    beyond = beyond_good(form, model)
    if not beyond:
        return Markup("")
    ranges = [
        words("advice_range", field=named(name, words), low=f"{span.low:g}", high=f"{span.high:g}")
        for name, span in beyond.items()
    ]
    text = words("advice", model=model.title or model.key, ranges=words("list_and").join(ranges))
    button = action("good", words("advice_use"), kind="plain")
    return Markup('<div class="at-notice at-notice-wait" role="status"><p>{}</p>{}</div>').format(text, button)


def _empty(words: Words, model: object) -> Markup:
    title = Markup('<p class="at-lead">{}</p><p>{}</p>').format(words("empty_title"), words("empty_text"))
    if model not in (None, SAMPLES_MODEL):
        return Markup('<div class="at-empty">{}{}</div>').format(icon("picture"), title)
    drawn = join(
        Markup(
            '<li><button type="button" class="at-sample" data-words="{0}" data-draw title="{0}">'
            '<img src="atelier/sample/{1}.webp" alt="" width="128" height="128"><span>{0}</span></button></li>'
        ).format(words(f"example_{name}"), name)
        for name in SAMPLES
    )
    about = words("samples_title", model=SAMPLES_MODEL)
    return Markup('<div class="at-empty">{}<ul class="at-samples">{}</ul><p class="at-quiet">{}</p></div>').format(
        title, drawn, about
    )
