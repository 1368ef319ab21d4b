"""What happens with the picture to start from: handed in, or taken from one that was made; with a mask or without."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from app.core.errors import ServiceError
from app.core.models import ModelInfo
from app.core.schema import VARIATION_OF, InputRef
from app.core.sizes import ratio_of, size_of_picture
from app.core.task import Task
from app.ui.actions import Action
from app.ui.memory import StartNow
from app.ui.shell import Shell, Updates, Values
from app.ui.strings import Words
from app.ui.studio import GENERATE, Studio, default_model, find_model
from app.ui.tabs.fields import FormFields
from app.ui.tabs.handed_in import handed_in, keep
from app.ui.tabs.start_panel import can_start, panel_of
from app.ui.views.pictures import FAR
from app.ui.views.start import no_start, start_panel
from app.ui.views.toast import NO_TOAST, toast
from app.ui.visitors import visitor_of

GONE = 404
TWICE = 2
NO_VARIATIONS = "The model of this picture is not here, or makes no pictures from pictures."
VARIATIONS = 4
MAX_DIGITS = 6  # of a number of pixels
KEPT = ("prompt", "negative_prompt", "model", "num_inference_steps", "guidance_scale", "scheduler", "clip_skip",
        "vae")  # fmt: skip


class StartEvents:
    """The events, for one studio."""

    def __init__(self, studio: Studio, shell: Shell, fields: FormFields) -> None:
        self._studio = studio
        self._link = studio.link
        self._shell = shell
        self._fields = fields
        self._panel = fields.start

    def act(self, request: gr.Request, event: gr.EventData, values: Values) -> Updates:
        """A file was handed in for the panel, or its picture is to go."""
        words, action = self._studio.words(request), Action.of(event)
        if action.act == "remove-start":
            model = self._studio.model(values.get(self._fields["model"]))
            return {self._panel.page: no_start(words, unfolded=True), **self._steps(values, model, started=False)}
        if action.act == "crop":
            return self._crop(action, values, words)
        if action.act == "extend":
            sides = _pixels(action, "width", "height")
            model = self._studio.model(values.get(self._fields["model"]))
            return self._sized(*sides, model) if sides and all(sides) else {}
        data = handed_in(self._studio, request, action, words)
        return {self._shell.toast: data} if isinstance(data, str) else self._use(data, values, words)

    def _crop(self, action: Action, values: Values, words: Words) -> Updates:
        """A part of the picture in its place."""
        left_top, size = _pixels(action, "left", "top"), _pixels(action, "width", "height")
        if not left_top or not size:
            return {}
        try:
            kept = self._link.ask(lambda: self._link.client.crop(action.id, *left_top, *size))
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}
        return self._shown(kept, self._studio.model(values.get(self._fields["model"])), words)

    def use_image(self, image_id: str, values: Values, words: Words) -> Updates:
        """A picture of the library as the one to start from. The message says what went wrong."""
        try:
            data = self._link.ask(lambda: self._link.client.image_bytes(image_id))
        except ServiceError as error:
            return {self._shell.toast: self._studio.refusal(error, words)}
        return self._use(data, values, words)

    def remembered(self, start: StartNow | None, words: Words) -> Updates:
        """The panel of a page that was just opened."""
        if start is None:
            return {self._panel.page: no_start(words)}
        try:
            self._link.ask(lambda: self._link.client.input(start.sha256))
        except ServiceError as error:
            if error.http_status == GONE:
                return {self._panel.page: no_start(words, gone=True)}
        return {self._panel.page: start_panel(start.sha256, words, extend=start.extend)}

    def of_request(self, made: Mapping[str, Any], words: Words) -> Updates:
        """The panel as a stored request left it."""
        return {self._panel.page: panel_of(made, words)}

    def fields_of(self, request: gr.Request, start: StartNow | None, model: ModelInfo) -> dict[str, Any] | None:
        """The fields of a request that starts from this; None if the mask did not arrive. Raises ServiceError."""
        if start is None or not can_start(model):
            return {}
        inputs = [{"role": "image", "sha256": start.sha256}]
        extend = {"extend": list(start.extend)} if any(start.extend) else {}
        if start.mask is None:
            whole = Task.EDIT if Task.EDIT in model.tasks else Task.IMAGE
            return {"task": "inpaint" if extend else whole.value, "inputs": inputs, **extend}
        data = self._studio.uploads.take(visitor_of(request.request), start.mask)
        if data is None:
            return None
        inputs.append({"role": "mask", "sha256": self._link.ask(lambda: self._link.client.upload(data)).sha256})
        return {"task": "inpaint", "inputs": inputs, **extend}

    def variations_of(self, image_id: str, far: object) -> dict[str, Any]:
        """The request for others like a saved picture, with its own words and settings. Raises ServiceError.

        They begin with noise near its own, so `far` from it; or with the picture, where its noise cannot be had again:
        it is between those of two seeds already, or there was none.
        """
        client = self._link.client
        image = self._link.ask(lambda: client.image(image_id))
        made = dict(image.recipe.get("request") or {})
        models, share = self._studio.models(), _share(far)
        model = default_model(models) if made.get("task") == "upscale" else find_model(models, made.get("model"))
        from_noise = made.get("task") != "upscale" and not made.get("subseed_strength")
        if model is None or not (from_noise or Task.IMAGE in model.tasks):
            raise ServiceError(NO_VARIATIONS, code="no_variations", http_status=409)
        count = {"num_images": min(VARIATIONS, int(model.ranges["num_images"].high))}
        if from_noise:
            given = {name: value for name, value in made.items() if value is not None and name != "subseed"}
            extra = {**(made.get("extra") or {}), VARIATION_OF: image_id}
            return given | count | {"seed": image.seed, "subseed_strength": share, "extra": extra}
        kept = self._link.ask(lambda: client.upload(client.image_bytes(image_id)))
        return (
            {name: made[name] for name in KEPT if made.get(name) is not None}
            | count
            | {
                "width": image.width,
                "height": image.height,
                "model": model.key,
                "task": "image",
                "inputs": [{"role": "image", "sha256": kept.sha256}],
                # With few steps, as much as one of them is.
                "strength": max(share, 1 / (made.get("num_inference_steps") or model.num_inference_steps)),
            }
        )

    def upscaled(self, image_id: str) -> dict[str, Any]:
        """The request for a saved picture twice as large, by a model where one is here. Raises ServiceError."""
        client = self._link.client
        image = self._link.ask(lambda: client.image(image_id))
        kept = self._link.ask(lambda: client.upload(client.image_bytes(image_id)))
        inputs = [{"role": "image", "sha256": kept.sha256}]
        words = {"prompt": image.prompt, "negative_prompt": image.negative_prompt, "seed": image.seed}
        here = [model for model in self._studio.models() if model.tasks == (Task.UPSCALE,) and model.installed]
        by_model = {"model": here[-1].key} if here else {}  # the user's own come after those of the catalog
        return words | by_model | {"task": "upscale", "inputs": inputs, "scale": TWICE}

    def _use(self, data: bytes, values: Values, words: Words) -> Updates:
        model = self._studio.model(values.get(self._fields["model"]))
        if model is not None and not can_start(model):
            text = words("start_not_with", model=model.title or model.key)
            return {self._shell.toast: toast(text, words, "bad")}
        picture = keep(self._studio, data, words)
        if isinstance(picture, str):
            return {self._shell.toast: picture}
        return self._shown(picture, model, words) | self._steps(values, model, started=True)

    def _steps(self, values: Values, model: ModelInfo | None, *, started: bool) -> Updates:
        """The model's own number of steps for a picture from a picture, or back; one that somebody chose stays."""
        field = self._fields["num_inference_steps"]
        if model is None or model.start_steps is None:
            return {}
        usual, now = (model.num_inference_steps, model.start_steps)[:: 1 if started else -1]
        return {field: now} if values.get(field) == usual else {}

    def _shown(self, kept: InputRef, model: ModelInfo | None, words: Words) -> Updates:
        """The panel with this picture, and its size in the form."""
        shown: Updates = {
            self._panel.page: start_panel(kept.sha256, words),
            self._shell.tabs: gr.Tabs(selected=GENERATE),
            self._shell.toast: NO_TOAST,
        }
        return shown | self._sized(kept.width, kept.height, model)

    def _sized(self, width: int, height: int, model: ModelInfo | None) -> Updates:
        """The size of the new picture: that of the first one with what is drawn beyond it, if the model allows it, else
        its ratio."""
        if model is None:
            return {}
        width, height = size_of_picture(width, height, model)
        fields = self._fields
        return {fields["width"]: width, fields["height"]: height, fields.ratio: ratio_of(width, height, model)}


def _pixels(action: Action, first: str, second: str) -> tuple[int, int] | None:
    """Two numbers of pixels that a browser sent; None for anything else."""
    found = [str(action.data.get(name, "")) for name in (first, second)]
    if not all(text.isdecimal() and len(text) < MAX_DIGITS for text in found):
        return None
    return int(found[0]), int(found[1])


def _share(far: object) -> float:
    """How far a browser says that variations go, from 0 to 1; the usual for anything else."""
    try:
        share = float(str(far))
    except ValueError:
        return FAR
    return share if 0 < share <= 1 else FAR
