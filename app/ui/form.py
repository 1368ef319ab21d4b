"""The settings form as one value: from the page's fields to a request, and from a request back to the fields."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any

from app.core.schema import MAX_PROMPT_CHARS, MAX_SEED, RANDOM_SEED
from app.ui.sizes import ratio_of
from app.ui.strings import Words

DEFAULT_SCHEDULER = "default"
MAX_IMAGES = 8
# Text of the label of each field, for messages that name it.
LABELS = {
    "prompt": "form_prompt",
    "negative_prompt": "form_negative",
    "model": "form_model",
    "num_inference_steps": "form_steps",
    "guidance_scale": "form_guidance",
    "width": "form_width",
    "height": "form_height",
    "seed": "form_seed",
    "num_images": "form_count",
    "scheduler": "form_scheduler",
}
_SPANS = {
    "num_inference_steps": "steps_range",
    "guidance_scale": "guidance_range",
    "width": "size_range",
    "height": "size_range",
}
_WHOLE = ("num_inference_steps", "width", "height", "seed", "num_images")


@dataclass(frozen=True)
class Form:
    """The fields of the generate tab, in the order of its components. Numbers may be None: an emptied field."""

    model: str | None = None
    prompt: str | None = ""
    negative_prompt: str | None = ""
    aspect: str | None = None
    width: float | None = None
    height: float | None = None
    num_inference_steps: float | None = None
    guidance_scale: float | None = None
    num_images: float | None = 1
    seed: float | None = RANDOM_SEED
    scheduler: str | None = DEFAULT_SCHEDULER

    def values(self) -> tuple[Any, ...]:
        """The fields in order, for the page."""
        return astuple(self)

    def request(self) -> dict[str, Any]:
        """The body for the service. Call it only when `problems` found none."""
        body = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "aspect"}
        body |= {name: int(body[name]) for name in _WHOLE}
        body["prompt"] = body["prompt"] or ""
        body["negative_prompt"] = body["negative_prompt"] or ""
        if not body["scheduler"] or body["scheduler"] == DEFAULT_SCHEDULER:
            del body["scheduler"]
        return body

    def problems(self, model: Mapping[str, Any] | None, words: Words) -> list[str]:
        """What is wrong, a sentence for each field, in the reader's language. Empty = ready to send."""
        if not (self.prompt or "").strip():
            return [words("problem_no_prompt")]
        if model is None:
            return [words("problem_no_model")]
        found = [
            words("problem_length", field=words(LABELS[name]), n=len(text), limit=MAX_PROMPT_CHARS)
            for name in ("prompt", "negative_prompt")
            if len(text := getattr(self, name) or "") > MAX_PROMPT_CHARS
        ]
        spans = {name: model[span] for name, span in _SPANS.items()}
        spans |= {"seed": {"low": RANDOM_SEED, "high": MAX_SEED}, "num_images": {"low": 1, "high": MAX_IMAGES}}
        return found + [
            words("problem_range", field=words(LABELS[name]), value=_shown(value), allowed=allowed(span, words))
            for name, span in spans.items()
            if not _fits(value := getattr(self, name), span, whole=name in _WHOLE)
        ]


def allowed(span: Mapping[str, Any], words: Words) -> str:
    """A range as a person reads it."""
    values = {"low": f"{span['low']:.0f}", "high": f"{span['high']:.0f}", "multiple": span.get("multiple", 1)}
    return words("range_in_steps" if values["multiple"] > 1 else "range", **values)


def form_of(request: Mapping[str, Any], model: Mapping[str, Any]) -> Form:
    """The form that would send this request with this model; what the request leaves open is the model's default."""
    given = {name: value for name, value in request.items() if value is not None}
    width, height = given.get("width", model["width"]), given.get("height", model["height"])
    return Form(
        model=model["key"],
        prompt=given.get("prompt", ""),
        negative_prompt=given.get("negative_prompt", ""),
        aspect=ratio_of(width, height, model),
        width=width,
        height=height,
        num_inference_steps=given.get("num_inference_steps", model["num_inference_steps"]),
        guidance_scale=given.get("guidance_scale", model["guidance_scale"]),
        num_images=given.get("num_images", 1),
        seed=given.get("seed", RANDOM_SEED),
        scheduler=given.get("scheduler", DEFAULT_SCHEDULER),
    )


def _fits(value: Any, span: Mapping[str, Any], *, whole: bool) -> bool:
    if not isinstance(value, int | float) or not span["low"] <= value <= span["high"]:
        return False
    if whole and value != int(value):
        return False
    multiple = span.get("multiple", 1)
    return multiple == 1 or value % multiple == 0


def _shown(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
