"""The settings form: a table of its fields, from the page's values to a request, and from a request back to them.

A new parameter is one row here and its words `field_NAME` in both locales; its range comes from the service.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from app.core.models import ModelInfo, Span
from app.core.samplers import DEFAULT
from app.core.schema import HR_LANCZOS, HR_LATENT, MAX_PROMPT_CHARS, RANDOM_SEED
from app.core.sizes import RATIOS, size_for
from app.ui.strings import Words

STRENGTH = 0.75  # what the service takes where none is said


class Kind(Enum):
    """What a field looks like."""

    TEXT = "text"
    NUMBER = "number"
    SLIDER = "slider"
    CHOICE = "choice"
    CHECK = "check"
    NAMES = "names"  # any number of those that the service lists


class Group(Enum):
    """Where a field stands; within a group they stand in the table's order."""

    PROMPT = "prompt"
    NEGATIVE = "negative"
    MODEL = "model"
    STYLES = "styles"
    SIZE = "size"
    EFFORT = "effort"
    START = "start"
    MASK = "mask"
    SEED = "seed"
    HIRES = "hires"
    MORE = "more"


@dataclass(frozen=True)
class Field:
    """One field of a request as the page offers it.

    `name` is the request's, which gives its words (`field_NAME`) and its range (`ranges` of the model). `label` is the
    key of its label where that says more, `info` of a line below it, `placeholder` of what an empty one shows.
    `default` stands there where neither request nor model say a value. `kept`: another model leaves it as it is.
    `some`: only models that give it a range have it. `optional`: left out of a request while it is its default.
    `whole`: fractions are refused. `choices`: what can be chosen where the model lists nothing, with the words
    `field_NAME_CHOICE`; with `upscalers` the models that make pictures larger, too.
    """

    name: str
    kind: Kind
    group: Group
    label: str | None = None
    info: str | None = None
    placeholder: str | None = None
    default: Any = None
    kept: bool = False
    some: bool = False
    optional: bool = False
    whole: bool = True
    step: float = 1
    lines: int = 1
    width: int = 160
    choices: tuple[int, ...] | tuple[str, ...] = ()
    upscalers: bool = False

    @property
    def is_number(self) -> bool:
        """True if the service gives a range for it."""
        return self.kind in (Kind.NUMBER, Kind.SLIDER)

    @property
    def type(self) -> Any:
        """What its value is."""
        if self.kind is Kind.CHECK:
            return bool
        if self.kind is Kind.NAMES:
            return list
        numbers = self.is_number or any(isinstance(choice, int) for choice in self.choices)
        return int | float if numbers else str

    @property
    def label_key(self) -> str:
        """The key of its label."""
        return self.label or f"field_{self.name}"


FIELDS = (
    Field(
        "prompt", Kind.TEXT, Group.PROMPT, placeholder="form_prompt_placeholder", default="", kept=True, lines=3
    ),
    Field(
        "negative_prompt", Kind.TEXT, Group.NEGATIVE, placeholder="form_negative_placeholder", default="", kept=True
    ),
    Field("model", Kind.CHOICE, Group.MODEL),
    Field("styles", Kind.NAMES, Group.STYLES, info="form_styles_info", default=[], kept=True, optional=True),
    Field("width", Kind.NUMBER, Group.SIZE, width=110),
    Field("height", Kind.NUMBER, Group.SIZE, width=110),
    Field("num_images", Kind.SLIDER, Group.SIZE, default=1, kept=True),
    Field("num_inference_steps", Kind.SLIDER, Group.EFFORT, info="form_steps_info", some=True, width=200),
    Field("guidance_scale", Kind.SLIDER, Group.EFFORT, info="form_guidance_info", whole=False, step=0.1, width=200),
    Field("top_k", Kind.NUMBER, Group.EFFORT, info="form_top_k_info", some=True, optional=True),
    Field("top_p", Kind.NUMBER, Group.EFFORT, info="form_top_p_info", some=True, optional=True, whole=False, step=0.05),
    Field("temperature", Kind.NUMBER, Group.EFFORT, info="form_temperature_info", some=True, optional=True,
          whole=False, step=0.05),
    Field("strength", Kind.SLIDER, Group.START, info="form_strength_info", default=STRENGTH, kept=True, optional=True,
          whole=False, step=0.05),
    Field("inpaint_full_res", Kind.CHECK, Group.MASK, info="form_full_res_info", default=False, kept=True,
          optional=True, width=420),
    Field("inpaint_full_res_padding", Kind.SLIDER, Group.MASK, default=32, kept=True, optional=True, width=200),
    Field("mask_blur", Kind.SLIDER, Group.MASK, default=0, kept=True, optional=True, whole=False, step=0.5, width=200),
    Field("inpainting_fill", Kind.CHOICE, Group.MASK, default=1, kept=True, optional=True, choices=(1, 0, 2, 3)),
    Field("seed", Kind.NUMBER, Group.SEED, label="form_seed", default=RANDOM_SEED, kept=True, width=140),
    Field("enable_hr", Kind.CHECK, Group.HIRES, info="form_enable_hr_info", default=False, kept=True, optional=True,
          width=420),
    Field("hr_scale", Kind.SLIDER, Group.HIRES, default=2, kept=True, optional=True, whole=False, step=0.25, width=200),
    Field("hr_upscaler", Kind.CHOICE, Group.HIRES, default=HR_LANCZOS, kept=True, optional=True,
          choices=(HR_LANCZOS, HR_LATENT), upscalers=True),
    Field("hr_second_pass_steps", Kind.SLIDER, Group.HIRES, info="form_hr_steps_info", default=0, kept=True,
          optional=True, width=200),
    Field("scheduler", Kind.CHOICE, Group.MORE, info="form_scheduler_info", default=DEFAULT, optional=True),
    Field("subseed_strength", Kind.SLIDER, Group.MORE, info="form_subseed_strength_info", default=0, kept=True,
          optional=True, whole=False, step=0.01),
    Field("subseed", Kind.NUMBER, Group.MORE, info="form_subseed_info", default=RANDOM_SEED, kept=True, optional=True),
    Field("vae", Kind.CHOICE, Group.MORE, info="form_vae_info", default="", optional=True),
    Field("clip_skip", Kind.SLIDER, Group.MORE, info="form_clip_skip_info", default=0, optional=True),
)  # fmt: skip
_BY_NAME = {field.name: field for field in FIELDS}


@dataclass(frozen=True)
class Form:
    """The fields' values by name. A number may be None: an emptied field."""

    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name)

    def request(self, start: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The body for the service. Call it only when `problems` found none.

        `start` are the fields that say which pictures it starts from; without them a strength has no meaning.
        """
        body = dict(start or {})
        task = body.get("task")
        for field in FIELDS:
            value = self[field.name]
            if not self._counts(field.group, task):
                continue
            if field.optional and value in (None, "", field.default):
                continue
            if field.kind is Kind.TEXT:
                value = value or ""
            body[field.name] = int(value) if field.is_number and field.whole else value
        return body

    def _counts(self, group: Group, task: str | None) -> bool:
        """False for fields that say nothing of such a task. A strength is the second pass', too."""
        twice = task is None and bool(self["enable_hr"])
        applies = {Group.START: task not in (None, "edit") or twice, Group.MASK: task == "inpaint", Group.HIRES: twice}
        return applies.get(group, True)

    def problems(self, model: ModelInfo | None, words: Words) -> list[str]:
        """What is wrong, a sentence for each field, in the reader's language. Empty = ready to send."""
        if not (self["prompt"] or "").strip():
            return [words("problem_no_prompt")]
        if model is None:
            return [words("problem_no_model")]
        found = [
            words("problem_length", field=named(field.name, words), n=len(text), limit=MAX_PROMPT_CHARS)
            for field in FIELDS
            if field.kind is Kind.TEXT and len(text := self[field.name] or "") > MAX_PROMPT_CHARS
        ]
        return found + [
            words(
                "problem_range",
                field=named(name, words),
                value=_shown(value),
                allowed=_allowed(value, span, name, words),
            )
            for name, span in model.ranges.items()
            if name in _BY_NAME and not _fits(value := self[name], span, _BY_NAME[name])
        ]


def named(name: str, words: Words) -> str:
    """A request's field as the reader calls it."""
    return words.find(f"field_{name}") or name


def allowed(span: Span, words: Words) -> str:
    """A range as a person reads it."""
    values = {"low": f"{span.low:.0f}", "high": f"{span.high:.0f}", "multiple": span.multiple}
    return words("range_in_steps" if span.multiple > 1 else "range", **values)


def form_of(request: Mapping[str, Any], model: ModelInfo) -> Form:
    """The form that would send this request with this model; a number that it leaves open is the model's default.

    Raises ValueError for a number that is none and a text that is none: a request may come from a file.
    """
    values = {field.name: field.default for field in FIELDS}
    numbers = [field.name for field in FIELDS if field.is_number and field.name in ModelInfo.model_fields]
    values |= {name: getattr(model, name) for name in numbers}
    given = {name: value for name, value in request.items() if name in _BY_NAME and value is not None}
    given = {name: value for name, value in given.items() if is_there(_BY_NAME[name], model)}
    given["styles"] = _names(given.get("styles", ()))
    for name, value in given.items():
        if not isinstance(value, _BY_NAME[name].type):
            raise ValueError(f"{name} is {value!r}")
    return Form({**values, **given, "model": model.key})


def _allowed(value: Any, span: Span, name: str, words: Words) -> str:
    """The range, and that it is of whole numbers where that is what is wrong."""
    text = allowed(span, words)
    broken = isinstance(value, float) and not value.is_integer()
    return words("range_whole", range=text) if broken and _BY_NAME[name].whole else text


def is_there(field: Field, model: ModelInfo) -> bool:
    """True if the model has this field at all."""
    return not field.some or field.name in model.ranges


def _names(styles: Any) -> list[str]:
    if not isinstance(styles, list | tuple) or not all(isinstance(name, str) for name in styles):
        raise ValueError(f"styles is {styles!r}")
    return list(styles)


def fresh(model: ModelInfo) -> Form:
    """The form of somebody who has just chosen this model: its defaults, its negative prompt among them."""
    return form_of({"negative_prompt": model.negative_prompt}, model)


def changed_model(old: Form, model: ModelInfo, ratio: str | None = None) -> Form:
    """The form after another model was chosen: what a person means stays, the numbers are the new model's.

    `ratio` is the size preset that was chosen: it stays too.
    """
    new = fresh(model)
    kept = {field.name: old[field.name] for field in FIELDS if field.kept}
    if ratio in RATIOS:
        kept["width"], kept["height"] = size_for(ratio, model)
    kept["negative_prompt"] = old["negative_prompt"] or new["negative_prompt"]
    return Form({**new.values, **kept})


def beyond_good(form: Form, model: ModelInfo) -> dict[str, Span]:
    """Field → where the model draws well, for the fields that are not there."""
    return {
        name: span
        for name, span in model.good.items()
        if isinstance(value := form[name], int | float) and not span.low <= value <= span.high
    }


def _fits(value: Any, span: Span, field: Field) -> bool:
    if not isinstance(value, int | float) or not span.low <= value <= span.high:
        return False
    if field.whole and value != int(value):
        return False
    return bool(span.multiple == 1 or value % span.multiple == 0)


def _shown(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
