"""Which jobs may run together: the ones whose latents fit into one tensor and whose steps are the same."""

import hashlib
import json

from app.core.parameters import parameters
from app.core.prompt_syntax import parse_loras
from app.core.schema import GenerationRequest


def batch_key(request: GenerationRequest) -> str:
    """64 hex digits, equal for resolved requests that one pipeline call can serve.

    They share every parameter that is not per row (see `parameters`), and the LoRAs with their weights; the rest of
    the prompts, seeds and the number of images may differ.
    """
    values = request.model_dump(mode="json")
    parts = {name: values[name] for name, row in parameters(GenerationRequest).items() if not row.per_row}
    parts["loras"] = _loras(request.prompt)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _loras(prompt: str) -> list[str]:
    try:
        return [str(tag) for tag in parse_loras(prompt)[1]]
    except ValueError:  # refused when the job was made; a job of an older version may still have it
        return [prompt]


def megapixel_steps(request: GenerationRequest) -> float:
    """The work in a resolved request: width × height × steps × images, in millions.

    From a picture only the last steps are made, as many as `strength` says.
    """
    steps, images = request.num_inference_steps or 0, request.num_images
    steps = steps if request.strength is None else int(steps * request.strength)
    return (request.width or 0) * (request.height or 0) * steps * images / 1e6
