"""What a picture shows, what can be done with the words, and pictures to choose from."""

from collections.abc import Sequence
from typing import Any

from app.core.schema import Job
from app.ui.markup import Markup, action, join
from app.ui.strings import Words
from app.ui.views.pictures import thumbnail_url
from app.ui.views.start import input_url

SMALL = 256


def described(job: Job, words: Words) -> Markup:
    """The picture, the text of its finished description, and the model that found it."""
    text = job.text or ""
    use = action("use-text", words("describe_use"), picture="picture", data={"text": text}, disabled=not text)
    by = words("describe_by", model=job.request.model or "")
    return Markup(
        '<section class="at-card">{}<p class="at-prompt">{}</p><p class="at-quiet">{}</p>'
        '<div class="at-row">{}</div></section>'
    ).format(looked_at(job, words), text, by, use)


def looked_at(job: Job, words: Words) -> Markup:
    """The picture that a description is of."""
    return Markup('<div class="at-canvas at-inspected"><img src="{}" alt="{}"></div>').format(
        input_url(job.request.inputs[0].sha256), words("describe_picture")
    )


def choices(images: Sequence[Any], words: Words) -> Markup:
    """Saved pictures, each of which says what it shows when it is pressed."""
    if not images:
        return Markup("")
    buttons = [
        Markup(
            '<button type="button" class="at-picture" data-act="describe" data-id="{}" aria-label="{}">'
            '<img src="{}" alt="" loading="lazy" decoding="async"></button>'
        ).format(image.id, words("describe_this", prompt=image.prompt[:200]), thumbnail_url(image.id, SMALL))
        for image in images
    ]
    return Markup('<h2 class="at-quiet">{}</h2><div class="at-choose">{}</div>').format(
        words("describe_newest"), join(buttons)
    )
