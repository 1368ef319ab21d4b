"""Under Generate: the switch for drawing while typing, and the button that stops what is drawn. And the frame that
`static/sketch.js` puts its pictures into."""

from app.core.models import ModelInfo
from app.ui.markup import Markup, action, attributes
from app.ui.strings import Words
from app.ui.times import duration


def live_switch(model: ModelInfo, words: Words) -> Markup:
    """The switch, which the browser turns; it cannot be turned where the model is too slow here, or nobody knows."""
    return Markup(
        '<div class="at-live"><button type="button" class="at-switch" role="switch" aria-checked="false" data-live'
        ' aria-describedby="at-live-note"{}><span class="at-knob" aria-hidden="true"></span>{}</button>'
        '<span id="at-live-note" class="at-quiet">{}</span>'
        '<button type="button" class="at-button at-stop at-stop-here" data-press="#at-stage [data-act=cancel]">'
        "{}</button></div>"
    ).format(attributes({"disabled": model.sketch_steps is None}), words("live"), _note(model, words), words("stop"))


def sketch_frame(words: Words) -> Markup:
    """Hidden until there is a picture."""
    button = action("sketch-seed", words("sketch_seed"), data={"seed": ""})
    return Markup(
        '<figure class="at-card at-sketched" hidden><p class="at-situation">{}</p><div class="at-canvas">'
        '<img alt=""></div><figcaption class="at-row">{}</figcaption></figure>'
        '<p class="at-quiet" role="status" data-drawn="{}" data-start="{}" data-busy="{}"></p>'
    ).format(words("sketch"), button, words("sketch_drawn"), words("sketch_no_start"), words("error_jobs_come_first"))


def _note(model: ModelInfo, words: Words) -> str:
    if model.sketch_steps is None:
        taken = model.seconds_a_picture
        return words("live_unknown") if taken is None else words("live_slow", time=duration(taken, words))
    fewer = model.sketch_steps < model.num_inference_steps
    steps = {"steps": model.sketch_steps, "of": model.num_inference_steps}
    return words("live_fewer", **steps) if fewer else words("live_note")
