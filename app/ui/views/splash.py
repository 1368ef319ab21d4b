"""What stands on the page while the browser still runs Gradio's scripts: samples that can be clicked already."""

from app.ui.markup import Markup
from app.ui.strings import Words
from app.ui.views.generate import stage
from app.ui.views.header import brand


def splash(words: Words) -> Markup:
    """The page's frame with an empty stage, laid out as the page will be; `static/splash.js` brings it to life."""
    return Markup(
        '<div id="at-splash" class="gradio-container" lang="{}"><header class="at-header">{}</header>'
        '<div class="at-splash-columns"><div class="at-splash-form" aria-hidden="true"></div>'
        '<main class="at-splash-stage" aria-live="polite">{}</main></div></div>'
    ).format(words.language, brand(words), stage(None, (), words))
