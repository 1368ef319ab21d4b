"""What a picture is made from: the pictures of a request in the size that is drawn, and the pipeline for its task."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Protocol

import diffusers
import torch
from PIL import Image

from app.core.errors import FieldError, InvalidRequest, UnknownInput
from app.core.picture import Picture
from app.core.schema import NO_SIDES, GenerationRequest, InputRole
from app.core.task import Task
from app.diffusion.kinds import Pipeline
from app.families import family_of
from app.picture.fit import cover, delivered, flat, scaled
from app.picture.mask import Box, extended, filled_from_around, inside_of, part_to_draw, softened
from app.picture.resize import MAX_PIXELS

INPAINT_CHANNELS = (4, 9)  # of a UNet that diffusers' inpainting takes
FILL_AROUND = 0  # of `inpainting_fill`: the colours around the mask


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

    `cut` says how the picture was brought to this size, if something of it was lost. `box` is the part of it that is
    drawn, where that is not all of it; `inside` the part of what is drawn that belongs there, where that is not all.
    """

    picture: Image.Image
    mask: Image.Image | None = None
    cut: str | None = None
    box: Box | None = None
    inside: Box | None = None

    def pixels(self) -> torch.Tensor:
        """The picture as a pipeline gives its own: [3, h, w] in 0 to 1."""
        data = torch.frombuffer(bytearray(self.picture.tobytes()), dtype=torch.uint8)
        return data.view(self.picture.height, self.picture.width, 3).permute(2, 0, 1) / 255


@dataclass(frozen=True)
class Latents:
    """What a second pass starts from where no picture was made: one row of the latents, [C, h, w]."""

    values: torch.Tensor
    mask: None = None


def start_arguments(starts: Sequence[Start | Latents], strength: float | None) -> dict[str, Any]:
    """The part of a pipeline's call that says what its rows start from; {} for rows that start from nothing.

    One picture for each row: only then every pipeline draws what is random of a row from that row's own generator.
    """
    if not starts:
        return {}
    masks = [start.mask for start in starts if start.mask is not None]
    latents = [start.values for start in starts if isinstance(start, Latents)]
    pictures = [start.picture for start in starts if isinstance(start, Start)]
    found = {"image": torch.stack(latents) if latents else pictures, "strength": strength}
    return {**found, "mask_image": masks} if masks else found


def starts_of(
    drawn: GenerationRequest, asked: GenerationRequest, pictures: Pictures
) -> tuple[Start | None, Start | None]:
    """What a resolved request starts from, in the size that is `drawn` for it, and what the drawn picture is then put
    into. None for a request that starts from nothing, and for an instruction (see `edits`).

    Raises UnknownInput if a picture is not there.
    """
    if not asked.inputs or asked.task is Task.EDIT:
        return None, None
    found = {item.role: _opened(pictures, item.sha256) for item in asked.inputs}
    picture, mask = flat(found[InputRole.IMAGE]), found.get(InputRole.MASK)
    grey = None if mask is None else flat(mask, "black").convert("L")
    if asked.extend != NO_SIDES:
        _refuse_too_large(picture, asked.extend)
        fitting = None if grey is None else _filling(grey, picture.size)
        picture, grey = extended(picture, fitting, asked.extend)
    if grey is not None and (asked.inpaint_full_res or asked.extend != NO_SIDES):
        start, frame = _part(picture, grey, drawn, asked)
    else:
        frame = whole(picture, grey, asked, asked)
        same = (drawn.width, drawn.height) == (asked.width, asked.height)
        start = frame if same else whole(picture, grey, drawn, asked)
    if asked.inpainting_fill == FILL_AROUND and start.mask is not None:
        start = replace(start, picture=filled_from_around(start.picture, start.mask))
    return start, frame


def finished(picture: Picture, request: GenerationRequest, frame: Start | None) -> Picture:
    """The picture as it is given out, in the size that was asked for: untouched where nothing was to be made anew, down
    to the last byte."""
    if frame is None or frame.box is None:
        picture = delivered(picture, request.width or 0, request.height or 0)
    if frame is None:
        return picture
    how = {**picture.how, "notes": [*picture.how.get("notes", ()), *([frame.cut] if frame.cut else [])]}
    if frame.box is not None:
        how |= {"drawn": {"width": picture.width, "height": picture.height}, "part": list(frame.box)}
        how["notes"] += _stretched(picture, frame.box, frame.inside or (0, 0, picture.width, picture.height))
    size = frame.picture.size
    if request.strength == 0:
        return replace(picture, width=size[0], height=size[1], rgb=frame.picture.tobytes(), how=how)
    if frame.mask is None:
        return replace(picture, how=how)
    rgb = _only_inside(_in_frame(picture, frame), frame.picture, frame.mask).tobytes()
    return replace(picture, width=size[0], height=size[1], rgb=rgb, how=how)


def pipeline_of(pipe: Pipeline, task: Task, control: Sequence[Any] = ()) -> Pipeline:
    """The pipeline for a task, made of the parts of the loaded one: nothing is loaded, copied or moved.

    `control`: the control models that hold its pictures, all of one class.
    """
    family = family_of(type(pipe).__name__)
    if not control and family.tasks.get(task) == type(pipe).__name__:
        return pipe
    tasks = family.controls[type(control[0]).__name__] if control else family.tasks
    cls = getattr(diffusers, _class_for(pipe, task, tasks))
    taken = inspect.signature(cls.__init__).parameters
    # As `from_pipe` does, which would cast all weights besides.
    options = {name: value for name, value in pipe.config.items() if name in taken and name not in pipe.components}
    options |= {name: part for name, part in pipe.components.items() if name in taken}
    if control:
        options["controlnet"] = control[0] if len(control) == 1 else list(control)
    made = cls(**options)
    made.set_progress_bar_config(disable=True)
    return made


def _class_for(pipe: Pipeline, task: Task, tasks: Mapping[Task, str]) -> str:
    """For a mask that no pipeline takes, that of the task `image`: see `Blend`."""
    channels = getattr(getattr(pipe, "unet", None), "config", {}).get("in_channels", 4)
    if task is Task.INPAINT and (task not in tasks or channels not in INPAINT_CHANNELS):
        return tasks[Task.IMAGE]
    return tasks[task]


def opened_flat(pictures: Pictures, sha256: str) -> Image.Image:
    """A picture in RGB, what is transparent on white. Raises UnknownInput."""
    return flat(_opened(pictures, sha256))


def _opened(pictures: Pictures, sha256: str) -> Image.Image:
    with Image.open(BytesIO(pictures.open(sha256)), formats=["PNG"]) as picture:
        picture.load()
        return picture


def _filling(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.size == size:
        return picture
    # A mask must not ring: what is black stays black.
    method = Image.Resampling.BILINEAR if picture.mode == "L" else Image.Resampling.LANCZOS
    return cover(picture, *size, method)


def _refuse_too_large(picture: Image.Image, sides: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = sides
    width, height = picture.width + left + right, picture.height + top + bottom
    if width * height > MAX_PIXELS:
        allowed = f"{width}x{height} is too large; allowed are {MAX_PIXELS} pixels in all"
        raise InvalidRequest([FieldError("extend", list(sides), allowed)])


def whole(picture: Image.Image, mask: Image.Image | None, sized: GenerationRequest, asked: GenerationRequest) -> Start:
    """All of a picture in the size of `sized`, and the mask as soft as it is to be in the size of `asked`."""
    size = sized.width or 0, sized.height or 0
    cut = None
    if picture.width * size[1] != picture.height * size[0]:
        before = f"{picture.width}x{picture.height}"
        cut = f"the picture to start from, {before}, was cut to the ratio of {size[0]}x{size[1]}"
    fitted = _filling(picture, size)
    if mask is None:
        return Start(fitted, None, cut)
    blur = asked.mask_blur
    across, down = blur * size[0] / (asked.width or size[0]), blur * size[1] / (asked.height or size[1])
    return Start(fitted, softened(_filling(mask, size), across, down), cut)


def _part(
    picture: Image.Image, mask: Image.Image, drawn: GenerationRequest, asked: GenerationRequest
) -> tuple[Start, Start]:
    """The part that is drawn, in that size, and all of the picture with the place of that part in it.

    All of a picture of another ratio is drawn with a margin, which is then left out: nothing is stretched.
    """
    size = drawn.width or 0, drawn.height or 0
    soft = softened(_filling(mask, picture.size), asked.mask_blur, asked.mask_blur)
    if asked.inpaint_full_res:
        box = part_to_draw(soft, asked.inpaint_full_res_padding, *size)
        inside = 0, 0, *size
    else:
        box = 0, 0, *picture.size
        inside = inside_of(picture.size, size)
    left, top, right, bottom = inside
    fitted = right - left, bottom - top
    part = scaled(picture, *fitted, Image.Resampling.LANCZOS, box)
    grey = scaled(soft, *fitted, Image.Resampling.BILINEAR, box)
    if fitted != size:
        part, grey = extended(part, grey, (left, top, size[0] - right, size[1] - bottom))
    return Start(part, grey), Start(picture, soft, box=box, inside=inside)


def _in_frame(drawn: Picture, frame: Start) -> Image.Image:
    """What was drawn, in its place."""
    with Image.frombytes("RGB", (drawn.width, drawn.height), drawn.rgb) as made:
        if frame.box is None:
            return made.copy()
        left, top, right, bottom = frame.box
        whole = frame.picture.copy()
        part = made.crop(frame.inside) if frame.inside else made
        whole.paste(scaled(part, right - left, bottom - top, Image.Resampling.LANCZOS), (left, top))
        return whole


def _stretched(drawn: Picture, box: Box, inside: Box) -> list[str]:
    """What is said of a part whose ratio is not that of what was drawn for it, by more than rounding."""
    (width, height), (wide, high) = ((each[2] - each[0], each[3] - each[1]) for each in (box, inside))
    if 0.98 < width * high / (height * wide) < 1.02:
        return []
    return [f"drawn at {drawn.width}x{drawn.height}, then stretched to {width}x{height}"]


def _only_inside(after: Image.Image, before: Image.Image, mask: Image.Image) -> Image.Image:
    """The old pixels where the mask is black, the new where it is white, and in between where it is grey."""
    return Image.composite(after, before, mask)
