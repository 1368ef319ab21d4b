"""What a picture shows, and what can be done with the words."""

from app.core.schema import Job
from app.ui.markup import Markup, action
from app.ui.strings import Words


def described(job: Job, words: Words) -> Markup:
    """The text of a finished description, and the model that found it."""
    text = job.text or ""
    use = action("use-text", words("describe_use"), picture="picture", data={"text": text}, disabled=not text)
    by = words("describe_by", model=job.request.model or "")
    return Markup(
        '<section class="at-card"><p class="at-prompt">{}</p><p class="at-quiet">{}</p>'
        '<div class="at-row">{}</div></section>'
    ).format(text, by, use)
