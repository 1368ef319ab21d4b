"""Control models: which a folder holds, what they attach to, and what a request may ask of them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.catalog.entry import ModelEntry
from app.core.control import ControlUnit, counting
from app.core.errors import FieldError, UnknownModel
from app.core.schema import GenerationRequest
from app.core.task import Task
from app.families import CONTROL_MODELS, FAMILIES, STABLE_DIFFUSION, STABLE_DIFFUSION_XL, family_of

# What control models read, by the words that their names have for it.
KINDS: Mapping[str, tuple[str, ...]] = {
    "canny": ("canny",), "depth": ("depth",), "openpose": ("openpose", "pose"), "scribble": ("scribble", "sketch"),
    "softedge": ("softedge", "hed", "pidi"), "lineart": ("lineart",), "mlsd": ("mlsd",), "normal": ("normal",),
    "seg": ("seg",), "tile": ("tile",), "inpaint": ("inpaint",),
}  # fmt: skip


def control_class(config: Mapping[str, Any]) -> str | None:
    """The class of a control model, by its `config.json`; None for any other file."""
    known = [family.pipeline for family in CONTROL_MODELS]
    return next((name for name in known if config.get("_class_name") == name), None)


def control_facts(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a catalog entry that only a control model has, by its name and its `config.json`."""
    cls = control_class(config)
    bases = [family.pipeline for family in FAMILIES if cls in family.controls]
    if STABLE_DIFFUSION.pipeline in bases:  # one class for several kinds of models
        large = config.get("addition_embed_type") == "text_time"
        bases = [(STABLE_DIFFUSION_XL if large else STABLE_DIFFUSION).pipeline]
    said = name.lower()
    kind = next((kind for kind, words in KINDS.items() if any(word in said for word in words)), None)
    return {"attaches_to": bases[0] if bases else None, "control": kind}


def control_models(
    request: GenerationRequest, entry: ModelEntry, get: Callable[[str], ModelEntry]
) -> tuple[tuple[ModelEntry, ...], list[FieldError]]:
    """The control models that have an effect on a request, each once, and what is wrong with its units.

    `get` finds a model by its key and raises UnknownModel.
    """
    if not request.control:
        return (), []
    found: dict[str, ModelEntry] = {}
    errors = [] if counting(request) else list(_of_task(request, entry, ()))
    for place, unit in enumerate(request.control):
        try:
            model = get(unit.model)
        except UnknownModel as error:
            errors.append(FieldError(f"control.{place}.model", unit.model, error.message))
            continue
        wrong = list(_unit_errors(place, unit, model, entry))
        errors += wrong
        if unit.weight and not wrong:
            found[model.key] = model
    return tuple(found.values()), [*errors, *_of_task(request, entry, tuple(found.values()))]


def _unit_errors(place: int, unit: ControlUnit, model: ModelEntry, entry: ModelEntry) -> Iterator[FieldError]:
    where = f"control.{place}"
    if not family_of(model.pipeline).only_controls:
        yield FieldError(f"{where}.model", unit.model, "allowed is a control model; this one draws by itself")
    elif model.refused:
        yield FieldError(f"{where}.model", unit.model, model.refused)
    elif model.pipeline not in family_of(entry.pipeline).controls:
        title = family_of(entry.pipeline).title
        yield FieldError(f"{where}.model", unit.model, f"it holds no pictures of {title}, such as those of {entry.key}")
    elif model.attaches_to not in (None, entry.pipeline):
        title = family_of(model.attaches_to).title
        yield FieldError(f"{where}.model", unit.model, f"it is made for {title}, and {entry.key} is another")
    if unit.start >= unit.end:
        yield FieldError(f"{where}.end", unit.end, f"allowed is more than its start, {unit.start:g}, and at most 1")


def _of_task(request: GenerationRequest, entry: ModelEntry, models: tuple[ModelEntry, ...]) -> Iterator[FieldError]:
    """What the task has against control at all, and against these models."""
    family = family_of(entry.pipeline)
    if not family.controls or request.task is Task.UPSCALE:
        why = "control is not for the task upscale" if family.controls else f"there is no control for {family.title}"
        yield FieldError("control", len(request.control), f"allowed is none: {why}")
        return
    tasks = [request.task, *([Task.IMAGE] if request.enable_hr else [])]
    for cls in dict.fromkeys(model.pipeline for model in models):
        for task in tasks:
            if not family.can_be_held(cls, task):
                said = "enable_hr" if task is not request.task else f"the task {task}"
                yield FieldError("control", len(request.control), f"{family_of(cls).title} does not go with {said}")
    if len({model.pipeline for model in models}) > 1:
        yield FieldError("control", len(request.control), "allowed are control models of one kind in one request")
