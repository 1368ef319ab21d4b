"""Control models: which a folder holds, what they attach to, and what a request may ask of them."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from app.catalog.entry import ModelEntry
from app.core.control import LOOKS, ControlUnit, Preprocessor, counting
from app.core.errors import FieldError, UnknownModel
from app.core.schema import GenerationRequest
from app.core.task import Task
from app.families import CONTROL_MODELS, FAMILIES, IP_ADAPTER, STABLE_DIFFUSION, STABLE_DIFFUSION_XL, family_of
from app.weights.adapters import adapter_base, adapter_file
from app.weights.header import read_header

# What control models read, by the words that their names have for it.
KINDS: Mapping[str, tuple[str, ...]] = {
    "canny": ("canny",), "depth": ("depth",), "openpose": ("openpose", "pose"), "scribble": ("scribble", "sketch"),
    "softedge": ("softedge", "hed", "pidi"), "lineart": ("lineart",), "mlsd": ("mlsd",), "normal": ("normal",),
    "seg": ("seg",), "tile": ("tile",), "inpaint": ("inpaint",),
}  # fmt: skip
ENCODER = "image_encoder"  # the folder in that of an IP-Adapter with what looks at its pictures


def control_class(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The class of the control model in a folder, by its `config.json` or its weights; None for any other."""
    if not config:
        return IP_ADAPTER if adapter_file(folder) else None
    known = [family.pipeline for family in CONTROL_MODELS]
    return next((name for name in known if config.get("_class_name") == name), None)


def control_facts(name: str, folder: Path, config: Mapping[str, Any], cls: str) -> dict[str, Any]:
    """The fields of a catalog entry that only a control model has and what looks for one, by its name, its
    `config.json`, its weights and its class; {} for any other."""
    family = family_of(cls)
    if family.sees:
        return {"control": family.sees.value}
    if not family.only_controls:
        return {}
    file = adapter_file(folder) if cls == IP_ADAPTER else None
    if file is not None:
        return {"attaches_to": adapter_base(read_header(file).shapes), "control": LOOKS}
    bases = [family.pipeline for family in FAMILIES if cls in family.held_by]
    if STABLE_DIFFUSION.pipeline in bases:  # one class for several kinds of models
        large = config.get("addition_embed_type") == "text_time" or str(config.get("adapter_type")).endswith("_xl")
        bases = [(STABLE_DIFFUSION_XL if large else STABLE_DIFFUSION).pipeline]
    said = name.lower()
    kind = next((kind for kind, words in KINDS.items() if any(word in said for word in words)), None)
    return {"attaches_to": bases[0] if bases else None, "control": kind}


def control_models(
    request: GenerationRequest,
    entry: ModelEntry,
    get: Callable[[str], ModelEntry],
    seer: Callable[[Preprocessor], ModelEntry],
) -> tuple[tuple[ModelEntry, ...], list[FieldError]]:
    """The control models that have an effect on a request and what they need, each once, and what is wrong with its
    units.

    `get` finds a model by its key, `seer` the one that is a preprocessor; both raise UnknownModel.
    """
    if not request.control:
        return (), []
    found: dict[str, ModelEntry] = {}
    errors = [] if counting(request) else list(_of_task(request, entry, ()))
    for place, unit in enumerate(request.control):
        try:
            model = get(unit.model)
            needed = [get(model.encoder)] if model.encoder else []
        except UnknownModel as error:
            errors.append(FieldError(f"control.{place}.model", unit.model, error.message))
            continue
        wrong = list(_unit_errors(place, unit, model, entry))
        if unit.preprocessor.by_model and not wrong:
            try:
                needed.append(seer(unit.preprocessor))
            except UnknownModel as error:
                wrong = [FieldError(f"control.{place}.preprocessor", unit.preprocessor.value, error.message)]
        errors += wrong
        if unit.weight and not wrong:
            found |= {each.key: each for each in (model, *needed)}
    return tuple(found.values()), [*errors, *_of_task(request, entry, tuple(found.values()))]


def _unit_errors(place: int, unit: ControlUnit, model: ModelEntry, entry: ModelEntry) -> Iterator[FieldError]:
    where = f"control.{place}"
    if not family_of(model.pipeline).only_controls:
        yield FieldError(f"{where}.model", unit.model, "allowed is a control model; this one draws by itself")
    elif model.refused:
        yield FieldError(f"{where}.model", unit.model, model.refused)
    elif model.pipeline not in family_of(entry.pipeline).held_by:
        title = family_of(entry.pipeline).title
        yield FieldError(f"{where}.model", unit.model, f"it holds no pictures of {title}, such as those of {entry.key}")
    elif model.attaches_to not in (None, entry.pipeline):
        title = family_of(model.attaches_to).title
        yield FieldError(f"{where}.model", unit.model, f"it is made for {title}, and {entry.key} is another")
    elif model.pipeline == IP_ADAPTER and unit.preprocessor is not Preprocessor.NONE:
        allowed = f"allowed is {Preprocessor.NONE} for an IP-Adapter: it looks at the picture as it is"
        yield FieldError(f"{where}.preprocessor", unit.preprocessor.value, allowed)
    if unit.start >= unit.end:
        yield FieldError(f"{where}.end", unit.end, f"allowed is more than its start, {unit.start:g}, and at most 1")


def _of_task(request: GenerationRequest, entry: ModelEntry, models: tuple[ModelEntry, ...]) -> Iterator[FieldError]:
    """What the task has against control at all, and against these models."""
    family, many = family_of(entry.pipeline), len(request.control)
    if not family.held_by or request.task is Task.UPSCALE:
        why = "control is not for the task upscale" if family.held_by else f"there is no control for {family.title}"
        yield FieldError("control", many, f"allowed is none: {why}")
        return
    classes = list(dict.fromkeys(model.pipeline for model in models if family_of(model.pipeline).only_controls))
    beside = IP_ADAPTER in classes and any(cls in family.controls for cls in classes)
    for task in [request.task, *([Task.IMAGE] if request.enable_hr else [])]:
        said = "enable_hr" if task is not request.task else f"the task {task}"
        for cls in classes:
            if not family.can_be_held(cls, task):
                yield FieldError("control", many, f"{family_of(cls).title} does not go with {said}")
        if beside and task not in family.beside_controls:
            yield FieldError("control", many, f"{family.title} has no IP-Adapter beside a ControlNet for {said}")
    by_model = {model.key: model.pipeline for model in models}
    for cls, most in family.adapters.items():
        named = sum(by_model.get(unit.model) == cls for unit in counting(request))
        if named > most:
            yield FieldError("control", named, f"{family.title} takes at most {most} {family_of(cls).title} at once")
