"""What a recipe from elsewhere asks for that cannot be had here, and the nearest that can."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from app.core.models import ModelInfo, Span
from app.core.samplers import DEFAULT, SAMPLERS, parse_scheduler
from app.core.schema import HR_LANCZOS, HR_LATENT
from app.core.sizes import size_of_picture
from app.core.task import Task

_SIZE = ("width", "height")
_NO_NAME = re.compile(r"[^a-z0-9]+")
_ENDINGS = (".safetensors", ".ckpt", ".gguf", ".pt")


@dataclass(frozen=True)
class Difference:
    """`asked` is what the recipe says under this field's name, `fitted` what is taken for it; None = nothing."""

    name: str
    asked: str
    fitted: Any


@dataclass(frozen=True)
class Fit:
    """`request` can be sent to `model` as it is; `differences` are where it is not what the recipe says."""

    model: ModelInfo
    request: dict[str, Any]
    differences: tuple[Difference, ...]


def fit(request: Mapping[str, Any], unusable: Mapping[str, str], name: str, models: Sequence[ModelInfo]) -> Fit | None:
    """The recipe for the model of this name, or for the default one if that is not on this machine.

    `unusable` are fields that the recipe says and no request can hold. None if there is no model at all.
    """
    named = name or str(request.get("model") or "")
    known = model_named(named, models)
    usual = next((model for model in models if model.default), next(iter(models), None))
    model = known if known is not None and known.installed else usual
    if model is None:
        return None
    found = [Difference("model", named, model.key)] if named and model is not known else []
    fitted = {**request, "model": model.key}
    for field, wanted in {**request, **unusable}.items():
        if field in _SIZE:
            continue
        nearest = _nearest(field, wanted, model, usable=field in request)
        if field == "hr_upscaler":
            nearest = _upscaler(str(wanted), models)
        if nearest != wanted or field in unusable:
            found.append(Difference(field, str(wanted), nearest))
            fitted[field] = nearest
            if nearest is None:
                del fitted[field]
    found += _fit_size(fitted, unusable, model)
    return Fit(model, fitted, tuple(found))


def model_named(name: str, models: Sequence[ModelInfo]) -> ModelInfo | None:
    """The model that another program means by this name: of a file, of a repository, or as people write it."""
    wanted = _plain(name)
    if not wanted:
        return None
    return next((model for model in models if wanted in _names_of(model)), None)


def _names_of(model: ModelInfo) -> set[str]:
    names = (model.key, model.title, model.path, model.repository)
    return {_plain(name) for name in names if name} - {""}


def _plain(name: str) -> str:
    """Its letters and digits, without folder and ending."""
    last = PurePosixPath(name.replace("\\", "/")).name.lower()
    ending = next((end for end in _ENDINGS if last.endswith(end)), "")
    return _NO_NAME.sub("", last.removesuffix(ending))


def _nearest(field: str, wanted: Any, model: ModelInfo, *, usable: bool) -> Any:
    """The value for this model; None where the field is left out, or asks for nothing."""
    if wanted is None:
        return None
    if field == "vae":
        return wanted if wanted in model.vaes else None
    if field == "scheduler":
        return _sampler(str(wanted), model)
    span = model.ranges.get(field)
    if not usable or span is None or not isinstance(wanted, int | float):
        return wanted if usable else None
    return wanted if span.allows(wanted) else _inside(wanted, span)


def _upscaler(wanted: str, models: Sequence[ModelInfo]) -> str:
    """The same way to enlarge, by the model of that name if it is here; else the usual way."""
    known = model_named(wanted, [model for model in models if model.tasks == (Task.UPSCALE,) and model.installed])
    near = HR_LATENT if wanted.startswith(HR_LATENT) else HR_LANCZOS
    return near if known is None else known.key


def _inside(wanted: float, span: Span) -> int | float:
    value = min(max(wanted, span.low), span.high)
    return type(wanted)(value)


def _sampler(wanted: str, model: ModelInfo) -> str:
    """The same, or the same sampler without its schedule, or the model's own."""
    longest = sorted((sampler.name for sampler in SAMPLERS), key=len, reverse=True)
    alone = next((name for name in longest if wanted.lower().startswith(f"{name.lower()} ")), "")
    choices = (parse_scheduler(wanted), parse_scheduler(alone))
    fitting = (choice.value for choice in choices if choice and choice.value in (DEFAULT, *model.schedulers))
    return next(fitting, DEFAULT)


def _fit_size(fitted: dict[str, Any], unusable: Mapping[str, str], model: ModelInfo) -> list[Difference]:
    """Both sides at once, so that the ratio stays; the model's own size where one of them cannot be read."""
    asked = [unusable.get(side) or fitted.get(side) for side in _SIZE]
    width, height = asked
    if width is None and height is None:
        return []
    size = model.width, model.height
    if isinstance(width, int) and isinstance(height, int):
        size = size_of_picture(width, height, model)
    fitted.update(zip(_SIZE, size, strict=True))
    named = zip(_SIZE, asked, size, strict=True)
    return [Difference(side, str(was), now) for side, was, now in named if was is not None and was != now]
