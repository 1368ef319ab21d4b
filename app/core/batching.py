"""Which jobs may run together, and how many: those whose latents fit into one tensor and whose steps are the same."""

import hashlib
import json

from app.core.hires import result_size, steps_again
from app.core.parameters import parameters
from app.core.prompt_syntax import Prompt
from app.core.schema import GenerationRequest

GPU_PASS_PIXELS = 4 * 1024 * 1024  # of all images of one pass


def images_in_a_pass(device: str, width: int, height: int) -> int:
    """How many images of this size one pass of a model makes; `device` as torch names it.

    One on a CPU: more is slower there, and it changes the last bits (2e-6, enough to flip a pixel value now and then).
    """
    return max(1, GPU_PASS_PIXELS // (width * height)) if device.startswith("cuda") else 1


def batch_key(request: GenerationRequest, model: str = "", prompt: Prompt | None = None) -> str:
    """64 hex digits, equal for resolved requests that one pipeline call can serve.

    They share every parameter that is not per row (see `parameters`), and the LoRAs with their weights; the rest of
    the prompts, seeds and the number of images may differ. `model` is all that is known of their model, as text;
    `prompt` the request's own, where it was read already.
    """
    values = request.model_dump(mode="json")
    parts = {name: values[name] for name, row in parameters(GenerationRequest).items() if not row.per_row}
    if model:
        parts["entry"] = model
    parts["loras"] = [str(tag) for tag in (prompt or Prompt.read(request.prompt)).loras]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def steps_of(request: GenerationRequest) -> int:
    """The steps of a resolved request's first pass; from a picture only the last ones, as many as `strength` says."""
    steps = request.num_inference_steps or 0
    return steps if request.strength is None or request.enable_hr else int(steps * request.strength)


def megapixel_steps(request: GenerationRequest) -> float:
    """The work in a resolved request: width × height × steps × images, in millions.

    Steps are those that are made: see `steps_of`. The hires fix has a second pass besides.
    """
    steps, images = steps_of(request), max(1, request.num_pictures)
    width, height = result_size(request)
    again = width * height * steps_again(request)
    return ((request.width or 0) * (request.height or 0) * steps + again) * images / 1e6
