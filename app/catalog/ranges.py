"""What is allowed for each number of a request, with one model."""

from app.catalog.entry import ModelEntry
from app.core.models import Span
from app.core.parameters import bounds
from app.core.schema import GenerationRequest
from app.families import OF_TOKENS, family_of


def ranges(entry: ModelEntry, max_images: int) -> dict[str, Span]:
    """Field → range, for every field of a request that is a number, in the order of the fields.

    What the model's entry says; where it says nothing, what a request may hold at all. A field that has no effect with
    the model has no range.
    """
    nothing = ("num_inference_steps",) if family_of(entry.pipeline).tokens else tuple(OF_TOKENS)
    own = {
        "top_k": entry.top_k_range,
        "top_p": entry.top_p_range,
        "temperature": entry.temperature_range,
        "num_inference_steps": entry.steps_range,
        "guidance_scale": entry.guidance_range,
        "width": entry.size_range,
        "height": entry.size_range,
        "num_images": Span(low=1, high=max_images),
    }
    found = {}
    for name, (low, high) in bounds(GenerationRequest).items():
        if name in nothing:
            continue
        if name in own:
            found[name] = own[name]
        elif high is not None:
            found[name] = Span(low=low, high=high)
    return found
