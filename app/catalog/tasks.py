"""What a request of each task must name, and what a model's family can do."""

from collections.abc import Iterator

from app.catalog.entry import ModelEntry
from app.core.errors import FieldError
from app.core.hires import MAX_STEPS, result_size, schedule_steps, steps_again
from app.core.schema import HR_LANCZOS, HR_LATENT, NO_SIDES, GenerationRequest, InputRole
from app.core.task import ModelKind, Task
from app.families import family_of

FINDS = "finds pictures in the library"
DEFAULT_STRENGTH = 0.75  # A1111's
WITH_STRENGTH = (Task.IMAGE, Task.INPAINT)
# How many pictures of which role each task starts from, references left out; the tasks that the engines do.
STARTS: dict[Task, dict[InputRole, int]] = {
    Task.TEXT: {},
    Task.IMAGE: {InputRole.IMAGE: 1},
    Task.INPAINT: {InputRole.IMAGE: 1, InputRole.MASK: 1},
    Task.EDIT: {InputRole.IMAGE: 1},
    Task.UPSCALE: {InputRole.IMAGE: 1},
    Task.DESCRIBE: {InputRole.IMAGE: 1},
}
# What a request says of its mask.
ROUNDING = 1e-6  # pixels
OF_HIRES = ("hr_scale", "hr_upscaler", "hr_second_pass_steps")
OF_A_MASK = ("mask_blur", "inpaint_full_res", "inpaint_full_res_padding", "inpainting_fill")


def strength_of(request: GenerationRequest) -> float | None:
    """The request's strength with the default filled in; None where there is no picture to start from."""
    if request.strength is None and (request.task in WITH_STRENGTH or request.enable_hr):
        return DEFAULT_STRENGTH
    return request.strength


def tasks_of(entry: ModelEntry) -> tuple[Task, ...]:
    """The tasks that can be asked of a model."""
    family = family_of(entry.pipeline)
    return (Task.CONTROL,) if family.only_controls else tuple(task for task in STARTS if family.can(task))


def references_of(entry: ModelEntry) -> int:
    """How many more pictures an instruction may speak of, beside the one that is changed."""
    return family_of(entry.pipeline).references


def kinds_of(entry: ModelEntry) -> tuple[ModelKind, ...]:
    """What a model is for."""
    return family_of(entry.pipeline).kinds


def task_errors(request: GenerationRequest, entry: ModelEntry, max_inputs: int) -> Iterator[FieldError]:
    """What is wrong with the task of a request whose defaults are filled in, and with its pictures."""
    known = tasks_of(entry)
    if Task.CONTROL in known:
        yield FieldError("model", entry.key, "it draws nothing itself: name it in `control`, beside a model that does")
        return
    if not known:
        does = "looks at pictures for control models" if family_of(entry.pipeline).only_sees else FINDS
        yield FieldError("model", entry.key, f"it does no jobs: it {does}")
        return
    if request.task not in known:
        allowed = ", ".join(known)
        yield FieldError("task", request.task.value, f"allowed is one of: {allowed} for model {entry.key}")
        return
    if len(request.inputs) > max_inputs:
        yield FieldError("inputs", len(request.inputs), f"allowed are at most {max_inputs} pictures")
    wanted = STARTS[request.task]
    extended = request.extend != NO_SIDES
    references = references_of(entry) if request.task is Task.EDIT else 0
    named = [item.role for item in request.inputs]
    if extended and request.task is Task.INPAINT and InputRole.MASK not in named:
        wanted = {InputRole.IMAGE: 1}  # what is new is the mask
    found = {role: named.count(role) for role in named}
    beside = found.pop(InputRole.REFERENCE, 0)
    if found != wanted or beside > references:
        words = " and ".join(f"one {role}" for role in wanted) or "no picture"
        words += f" and at most {references} as {InputRole.REFERENCE}" if references else ""
        whose = f"the task {request.task}" + (f" of model {entry.key}" if request.task is Task.EDIT else "")
        yield FieldError("inputs", [role.value for role in named], f"allowed is {words} for {whose}")
    for place, item in enumerate(request.inputs):
        if item.weight != 1 or item.model is not None:
            field, value = ("weight", item.weight) if item.weight != 1 else ("model", item.model)
            yield FieldError(f"inputs.{place}.{field}", value, f"it has no meaning for the task {request.task}")
    if request.subseed_strength and family_of(entry.pipeline).tokens:
        allowed = f"allowed is 0 for model {entry.key}: it draws token by token, from no noise"
        yield FieldError("subseed_strength", request.subseed_strength, allowed)
    yield from _strength_errors(request)
    yield from _scale_errors(request)
    yield from _describe_errors(request, entry)
    yield from _hires_errors(request, entry)
    if extended and request.task is not Task.INPAINT:
        yield FieldError("extend", request.extend, "it needs a picture to start from, in `inputs` (task inpaint)")
    if request.task is not Task.INPAINT:
        for name in OF_A_MASK:
            if (value := getattr(request, name)) != GenerationRequest.model_fields[name].default:
                yield FieldError(name, value, "it needs a mask, in `inputs` (task inpaint)")


def _scale_errors(request: GenerationRequest) -> Iterator[FieldError]:
    if (request.task is Task.UPSCALE) != (request.scale > 1):
        allowed = "allowed is 2, 3 or 4 for the task upscale" if request.scale == 1 else "it needs the task upscale"
        yield FieldError("scale", request.scale, allowed)
    if request.task is Task.UPSCALE and request.subseed_strength:
        yield FieldError("subseed_strength", request.subseed_strength, "allowed is 0 for the task upscale")
    if request.task is Task.UPSCALE and request.num_images != 1:
        yield FieldError("num_images", request.num_images, "allowed is 1 for the task upscale")


def _describe_errors(request: GenerationRequest, entry: ModelEntry) -> Iterator[FieldError]:
    if request.task is not Task.DESCRIBE:
        if request.language != GenerationRequest.model_fields["language"].default:
            yield FieldError("language", request.language, "it needs the task describe")
        return
    family = family_of(entry.pipeline)
    if request.language not in family.languages:
        allowed = f"allowed is one of: {', '.join(family.languages)} for model {entry.key}"
        yield FieldError("language", request.language, allowed)
    if request.prompt and not family.asked:
        yield FieldError("prompt", request.prompt, f"allowed is none for model {entry.key}: it answers no questions")
    if request.num_images != 1:
        yield FieldError("num_images", request.num_images, "allowed is 1 for the task describe")


def _hires_errors(request: GenerationRequest, entry: ModelEntry) -> Iterator[FieldError]:
    if not request.enable_hr:
        for name in OF_HIRES:
            if (value := getattr(request, name)) != GenerationRequest.model_fields[name].default:
                yield FieldError(name, value, "it needs enable_hr")
        return
    family = family_of(entry.pipeline)
    if request.task is not Task.TEXT:
        yield FieldError("enable_hr", True, "allowed is false for a task that starts from a picture")
    elif not family.can(Task.IMAGE):
        yield FieldError("enable_hr", True, f"allowed is false for model {entry.key}: it makes no pictures of pictures")
    if request.hr_upscaler == HR_LATENT and not family.convolves:
        yield FieldError("hr_upscaler", HR_LATENT, f"allowed is {HR_LANCZOS} for model {entry.key}")
    if request.hr_upscaler == HR_LATENT and request.strength == 0:
        yield FieldError("strength", 0, f"allowed is more than 0 with the hr_upscaler {HR_LATENT}")
    if schedule_steps(request) > MAX_STEPS:
        least = steps_again(request) / MAX_STEPS
        yield FieldError("strength", request.strength, f"allowed is 0 or {least:g} to 1 for so many steps")
    for name, side in zip(("width", "height"), result_size(request), strict=True):
        becomes = (getattr(request, name) or 0) * request.hr_scale
        if abs(becomes - side) > ROUNDING or not entry.size_range.allows(side):
            allowed = f"the {name} becomes {becomes:g}; {entry.size_range.words()} for model {entry.key}"
            yield FieldError("hr_scale", request.hr_scale, allowed)
            return


def _strength_errors(request: GenerationRequest) -> Iterator[FieldError]:
    strength, steps = request.strength, request.num_inference_steps or 1
    if strength is None or request.enable_hr:
        return
    if request.task not in WITH_STRENGTH:
        yield FieldError("strength", strength, "it needs a picture to start from, in `inputs` (task image or inpaint)")
    elif strength and int(steps * strength) < 1:
        allowed = f"with {steps} steps allowed is 0 or {1 / steps:.4g} to 1: fewer would be no step at all"
        yield FieldError("strength", strength, allowed)
