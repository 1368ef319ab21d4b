"""One model as the catalog knows it."""

from typing import Any

from pydantic import model_validator

from app.core.models import ModelFacts
from app.core.samplers import all_values
from app.families import OF_TOKENS, STABLE_DIFFUSION, family_of


class ModelEntry(ModelFacts):
    """One model as the catalog knows it; one that names no pipeline is a Stable Diffusion of the first kind."""

    pipeline: str = STABLE_DIFFUSION.pipeline
    # The control models that a request names, and what looks at pictures for them, as they are now: they go with the
    # model of its job.
    controls: tuple["ModelEntry", ...] = ()
    # What enlarges between the passes of its hires fix, if a model does.
    upscaler: "ModelEntry | None" = None
    vae: str | None = None  # of models/vae, in the place of its own

    @property
    def beside(self) -> tuple["ModelEntry", ...]:
        """The models that its job needs as well."""
        return (*self.controls, *([self.upscaler] if self.upscaler else []))

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, values: Any) -> Any:
        """One that draws token by token has a value for each of its own fields, whatever its row leaves out."""
        if not isinstance(values, dict) or not family_of(values.get("pipeline")).tokens:
            return values
        return {**OF_TOKENS, **{name: value for name, value in values.items() if value is not None}}

    def facts(self) -> dict[str, Any]:
        """All but the models beside it: the fields that a `ModelInfo` has too."""
        return {name: value for name, value in self if name in ModelFacts.model_fields}

    @property
    def single(self) -> bool:
        """True for one model by itself, in the place of a pipeline of several."""
        return not family_of(self.pipeline).in_parts or family_of(self.pipeline).tokens


def allowed_schedulers(entry: ModelEntry) -> tuple[str, ...]:
    """Every `scheduler` value that a model takes beside `default`: its own list, or all that work for its family."""
    return entry.schedulers or tuple(all_values(family_of(entry.pipeline).samplers)[1:])
