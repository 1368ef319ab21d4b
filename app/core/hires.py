"""Hires fix: a picture from words, enlarged, and drawn again from that. Names and meanings are A1111's."""

import math

from app.core.schema import HR_LATENT, GenerationRequest
from app.core.task import Task

MAX_STEPS = 1000  # of a schedule: so many levels of noise were trained


def result_size(request: GenerationRequest) -> tuple[int, int]:
    """Width and height of the picture that a resolved request gives, in pixels; not whole numbers are rounded."""
    scale = request.hr_scale if request.enable_hr else 1
    return round((request.width or 0) * scale), round((request.height or 0) * scale)


def second_pass(request: GenerationRequest) -> GenerationRequest:
    """What one would ask for by hand, with the enlarged picture of the first pass to start from.

    It makes `hr_second_pass_steps` steps, and not the share of them that `strength` says: its schedule is longer.
    """
    width, height = result_size(request)
    fields = {
        "task": Task.IMAGE,
        "enable_hr": False,
        "width": width,
        "height": height,
        "num_inference_steps": schedule_steps(request),
    }
    return request.model_copy(update=fields)


def steps_again(request: GenerationRequest) -> int:
    """How many steps the second pass makes."""
    if not request.enable_hr or not request.strength:
        return 0
    return request.hr_second_pass_steps or request.num_inference_steps or 0


def schedule_steps(request: GenerationRequest) -> int:
    """The steps of the schedule whose last part is the second pass."""
    wanted, strength = steps_again(request), request.strength or 0.0
    if not wanted:
        return request.num_inference_steps or 1
    about = math.floor(wanted / strength)
    # As diffusers counts them: rounded down, of a product that need not be exact.
    return next((steps for steps in range(about, about + 3) if int(steps * strength) >= wanted), about + 3)


def from_latents(request: GenerationRequest) -> bool:
    """True if what is enlarged are the latents of the first pass, and not its picture."""
    return request.enable_hr and request.hr_upscaler == HR_LATENT
