"""One model as the catalog knows it."""

from app.core.models import ModelFacts
from app.core.samplers import all_values
from app.families import STABLE_DIFFUSION, family_of


class ModelEntry(ModelFacts):
    """One model as the catalog knows it; one that names no pipeline is a Stable Diffusion of the first kind."""

    pipeline: str = STABLE_DIFFUSION.pipeline


def allowed_schedulers(entry: ModelEntry) -> tuple[str, ...]:
    """Every `scheduler` value that a model takes beside `default`: its own list, or all that work for its family."""
    return entry.schedulers or tuple(all_values(family_of(entry.pipeline).samplers)[1:])
