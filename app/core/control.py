"""Control: a second picture whose edges, depth or pose hold the new one, or whose looks it takes."""

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from app.core.schema import GenerationRequest

MAX_UNITS = 8  # of one request
MAX_WEIGHT = 2.0
LOOKS = "looks"  # what an IP-Adapter reads of a picture; it needs no preprocessor


class Preprocessor(StrEnum):
    """What is made of a unit's picture before its model sees it."""

    NONE = "none"  # it is edges, depth or a pose already
    CANNY = "canny"  # thin edges, white on black
    SCRIBBLE = "scribble"  # bold lines, as drawn by hand
    SOFT_EDGE = "softedge"  # edges that are as bright as they are strong
    DEPTH = "depth"  # the nearer, the brighter
    OPENPOSE = "openpose"  # how a person stands, as coloured limbs on black

    @property
    def by_model(self) -> bool:
        """True for what a model of the catalog sees in a picture."""
        return self in (Preprocessor.DEPTH, Preprocessor.OPENPOSE)


class ControlUnit(BaseModel):
    """One picture, and the control model that reads it. Several units work at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(max_length=200, description="Catalog key of the control model.")
    image: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the picture: the answer of POST /api/inputs says it."
    )
    preprocessor: Preprocessor = Field(
        Preprocessor.NONE, strict=False, description="What is made of the picture before the model sees it."
    )
    weight: float = Field(
        1.0, ge=0, le=MAX_WEIGHT, allow_inf_nan=False, strict=True, description="How strongly it counts; 0 = not."
    )
    start: float = Field(
        0.0, ge=0, le=1, allow_inf_nan=False, strict=True, description="From which share of the steps on it counts."
    )
    end: float = Field(1.0, ge=0, le=1, allow_inf_nan=False, strict=True, description="Until which share of them.")


def pictures_of(request: "GenerationRequest") -> tuple[str, ...]:
    """The SHA-256 of every picture that a request names, each once."""
    named = [*(item.sha256 for item in request.inputs), *(unit.image for unit in request.control)]
    return tuple(dict.fromkeys(named))


def counting(request: "GenerationRequest") -> tuple[ControlUnit, ...]:
    """The units that have an effect."""
    return tuple(unit for unit in request.control if unit.weight)
