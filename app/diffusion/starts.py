"""What a picture is made from: the pictures of a request in the size that is drawn, and the pipeline for its task."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Protocol

import diffusers
import torch
from PIL import Image

from app.core.errors import UnknownInput
from app.core.picture import Picture
from app.core.schema import GenerationRequest, InputRole
from app.core.task import Task
from app.diffusion.kinds import Pipeline
from app.families import family_of
from app.picture.fit import cover

INPAINT_CHANNELS = (4, 9)  # of a UNet that diffusers' inpainting takes
BACKGROUND = "white"  # what shows through a transparent picture, as in A1111


class Pictures(Protocol):
    """The pictures that requests start from."""

    def open(self, sha256: str) -> bytes:
        """The PNG of one. Raises UnknownInput."""
        ...


class Held(dict[str, bytes]):
    """Pictures in memory: SHA-256 → PNG."""

    def open(self, sha256: str) -> bytes:
        """See `Pictures`."""
        if sha256 not in self:
            raise UnknownInput(f"The picture to start from is gone ({sha256}).", hint="Upload it again.")
        return self[sha256]


@dataclass(frozen=True)
class Start:
    """The picture to start from (RGB), and where it is to be made anew (L: 255 there, 0 elsewhere; None = all of it).

    `cut` says how the picture was brought to this size, if something of it was lost.
    """

    picture: Image.Image
    mask: Image.Image | None = None
    cut: str | None = None

    def pixels(self) -> torch.Tensor:
        """The picture as a pipeline gives its own: [3, h, w] in 0 to 1."""
        data = torch.frombuffer(bytearray(self.picture.tobytes()), dtype=torch.uint8)
        return data.view(self.picture.height, self.picture.width, 3).permute(2, 0, 1) / 255


def start_arguments(starts: Sequence[Start], strength: float | None) -> dict[str, Any]:
    """The part of a pipeline's call that says what its rows start from; {} for rows that start from nothing.

    One picture for each row: only then every pipeline draws what is random of a row from that row's own generator.
    """
    if not starts:
        return {}
    masks = [start.mask for start in starts if start.mask is not None]
    found = {"image": [start.picture for start in starts], "strength": strength}
    return {**found, "mask_image": masks} if masks else found


def start_of(request: GenerationRequest, pictures: Pictures) -> Start | None:
    """What a resolved request starts from, scaled to fill its size; None for one that starts from nothing.

    Raises UnknownInput if a picture is not there.
    """
    if not request.inputs:
        return None
    size = request.width or 0, request.height or 0
    found = {item.role: _opened(pictures, item.sha256) for item in request.inputs}
    picture, mask = found[InputRole.IMAGE], found.get(InputRole.MASK)
    cut = None
    if picture.width * size[1] != picture.height * size[0]:
        before = f"{picture.width}x{picture.height}"
        cut = f"the picture to start from, {before}, was cut to the ratio of {size[0]}x{size[1]}"
    fitted = _filling(_flat(picture), size)
    return Start(fitted, None if mask is None else _filling(_flat(mask, "black").convert("L"), size), cut)


def finished(picture: Picture, request: GenerationRequest, start: Start | None) -> Picture:
    """The picture as it is given out: untouched where nothing was to be made anew, down to the last byte."""
    if start is None:
        return picture
    rgb = picture.rgb
    if request.strength == 0:
        rgb = start.picture.tobytes()
    elif start.mask is not None:
        rgb = _only_inside(picture, start.picture, start.mask).tobytes()
    notes = [*picture.how.get("notes", ()), *([start.cut] if start.cut else [])]
    return replace(picture, rgb=rgb, how={**picture.how, "notes": notes})


def pipeline_of(pipe: Pipeline, task: Task) -> Pipeline:
    """The pipeline for a task, made of the parts of the loaded one: nothing is loaded, copied or moved."""
    if task is Task.TEXT:
        return pipe
    cls = getattr(diffusers, _class_for(pipe, task))
    taken = inspect.signature(cls.__init__).parameters
    # As `from_pipe` does, which would cast all weights besides.
    options = {name: value for name, value in pipe.config.items() if name in taken and name not in pipe.components}
    made = cls(**{name: part for name, part in pipe.components.items() if name in taken}, **options)
    made.set_progress_bar_config(disable=True)
    return made


def _class_for(pipe: Pipeline, task: Task) -> str:
    """For a mask that no pipeline takes, that of the task `image`: see `Blend`."""
    tasks = family_of(type(pipe).__name__).tasks
    channels = getattr(getattr(pipe, "unet", None), "config", {}).get("in_channels", 4)
    if task is Task.INPAINT and (task not in tasks or channels not in INPAINT_CHANNELS):
        return tasks[Task.IMAGE]
    return tasks[task]


def _opened(pictures: Pictures, sha256: str) -> Image.Image:
    with Image.open(BytesIO(pictures.open(sha256)), formats=["PNG"]) as picture:
        picture.load()
        return picture


def _flat(picture: Image.Image, background: str = BACKGROUND) -> Image.Image:
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    flat = Image.new("RGB", picture.size, background)
    flat.paste(picture, mask=picture.getchannel("A"))
    return flat


def _filling(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.size == size:
        return picture
    # A mask must not ring: what is black stays black.
    method = Image.Resampling.BILINEAR if picture.mode == "L" else Image.Resampling.LANCZOS
    return cover(picture, *size, method)


def _only_inside(drawn: Picture, before: Image.Image, mask: Image.Image) -> Image.Image:
    """The old pixels where the mask is black, the new where it is white, and in between where it is grey."""
    with Image.frombytes("RGB", (drawn.width, drawn.height), drawn.rgb) as after:
        return Image.composite(after, before, mask)
