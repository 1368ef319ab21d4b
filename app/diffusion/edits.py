"""Pictures that an instruction changes or speaks of, as the pipelines that read instructions take them."""

from dataclasses import dataclass
from typing import Any

from PIL import Image

from app.core.schema import GenerationRequest, InputRole
from app.core.task import Task
from app.diffusion.starts import Pictures, opened_flat
from app.picture.fit import cover


@dataclass(frozen=True)
class Shown:
    """The picture that is changed, then those that the instruction speaks of besides: RGB, each in its own size."""

    pictures: tuple[Image.Image, ...]

    def arguments(self, taken: set[str], width: int, height: int, rows: int) -> dict[str, Any]:
        """The part of a pipeline's call for so many rows; `taken` are the names that it takes.

        Pipelines bring pictures to the sizes that they were trained with. One that takes no size draws that of its
        picture, which therefore gets it here, and wants one for each row.
        """
        first = self.pictures[0]
        if "width" not in taken:
            return {"image": [self._fitted(width, height)] * rows}
        return {"image": first if len(self.pictures) == 1 else list(self.pictures)}

    def notes(self, taken: set[str], width: int, height: int) -> list[str]:
        """What was lost of the picture that is changed."""
        first = self.pictures[0]
        if "width" in taken or first.width * height == first.height * width:
            return []
        return [f"the picture to start from, {first.width}x{first.height}, was cut to the ratio of {width}x{height}"]

    def _fitted(self, width: int, height: int) -> Image.Image:
        first = self.pictures[0]
        return first if first.size == (width, height) else cover(first, width, height, Image.Resampling.LANCZOS)


def shown_of(request: GenerationRequest, pictures: Pictures) -> Shown | None:
    """The pictures of a resolved request; None for one that is no instruction. Raises UnknownInput."""
    if request.task is not Task.EDIT:
        return None
    ordered = sorted(request.inputs, key=lambda item: item.role is not InputRole.IMAGE)
    return Shown(tuple(opened_flat(pictures, item.sha256) for item in ordered))
