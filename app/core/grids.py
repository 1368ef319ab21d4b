"""X/Y/Z grids: one picture for each combination of values of up to three parameters.

What is asked for (`GridRequest`), its cells (`plan`), and what became of it (`Grid`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Annotated, Any

from pydantic import Field, ValidationError

from app.core.axes import PROMPT_SR, SIZE, Axis, AxisValue, read_axis
from app.core.errors import FieldError, InvalidRequest
from app.core.schema import MAX_PROMPT_CHARS, RANDOM_SEED, GenerationRequest, ImageRef, JobError, JobState
from app.core.shapes import parse_shape
from app.core.values import Value

MAX_TEXT_CHARS = 20_000
PLACES = ("x", "y", "z")


class GridAxis(Value):
    """One parameter and the values that it takes."""

    name: str = Field(
        min_length=1,
        max_length=60,
        description="A field of the request that is a number, a text or yes or no; `size` (values like 128x96); or "
        "`prompt_sr`: the first value is searched for in the prompts and replaced by each.",
    )
    values: (
        Annotated[tuple[AxisValue, ...], Field(min_length=1, strict=False)]
        | Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]
    ) = Field(description="The values; or as A1111 reads them: `1, 2, 4`, `1-5`, `1-10 (+3)`, `0-1 [5]`, `red, blue`.")


class GridRequest(Value):
    """A request, and the axes along which it is varied."""

    request: GenerationRequest = Field(description="What all pictures share; one image each.")
    x: GridAxis = Field(description="The columns.")
    y: GridAxis | None = Field(None, description="The rows.")
    z: GridAxis | None = Field(None, description="One table for each value.")

    @property
    def axes(self) -> tuple[GridAxis, ...]:
        """Those that there are: columns, rows, tables."""
        return tuple(axis for axis in (self.x, self.y, self.z) if axis is not None)


class GridCell(Value):
    """One picture of a grid: the places of its values along the axes, its job, and what became of that."""

    x: int
    y: int = 0
    z: int = 0
    job_id: str
    state: JobState | None = Field(description="null: the job is forgotten and its picture deleted.")
    image: ImageRef | None = None
    error: JobError | None = None
    reused: bool = Field(False, description="An earlier grid had made this very picture.")


class Grid(Value):
    """One accepted grid. `request` and the axes are as they are drawn: sent again, they give the same pictures."""

    id: str
    state: JobState = Field(description="Of all cells together.")
    origin: str
    request: GenerationRequest
    x: GridAxis
    y: GridAxis | None = None
    z: GridAxis | None = None
    cells: tuple[GridCell, ...] = Field((), description="Row by row, table by table; none of them in a list of grids.")
    done: int = Field(description="Pictures that are here.")
    of: int = Field(description="Pictures in all.")
    created_at: datetime
    url: str = Field(description="Address of the sheet, a PNG with all pictures that are here.")

    def asked(self) -> GridRequest:
        """What gives the same pictures again."""
        return GridRequest(request=self.request, x=self.x, y=self.y, z=self.z)


@dataclass(frozen=True)
class Plan:
    """The cells of a grid in their order (columns first), each a request; and the axes with every value read."""

    axes: tuple[Axis, ...]
    cells: tuple[GenerationRequest, ...]

    def places(self) -> Iterator[tuple[int, ...]]:
        """Of each cell, its place along each axis."""
        return places_of([len(axis.values) for axis in self.axes])

    def asked(self, base: GenerationRequest) -> GridRequest:
        """The grid as it is drawn, on top of a `base` whose other fields are those of every cell."""
        read = {place: GridAxis(name=axis.name, values=axis.values) for place, axis in self._named()}
        return GridRequest(request=base, **read)

    def words(self, cell: int) -> str:
        """`steps = 3, seed = 7`: where a cell is."""
        place = list(self.places())[cell]
        return ", ".join(f"{axis.name} = {axis.values[at]}" for axis, at in zip(self.axes, place, strict=True))

    def _named(self) -> Iterator[tuple[str, Axis]]:
        return zip(PLACES, self.axes, strict=False)


def places_of(lengths: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """All places along axes of these lengths; the first axis runs fastest."""
    return (place[::-1] for place in product(*(range(length) for length in reversed(lengths))))


def plan(asked: GridRequest, *, max_cells: int, seed: int) -> Plan:
    """The cells of a grid. `seed` is what a random one is here, and a random subseed is made of it: all
    cells share them.

    Raises InvalidRequest naming the field, such as `x.values`, and what is allowed; for more than `max_cells` too.
    """
    if asked.y is None and asked.z is not None:
        raise InvalidRequest([FieldError("z", asked.z.name, "it needs a y axis")])
    base = asked.request
    if base.num_images != 1:
        raise InvalidRequest([FieldError("request.num_images", base.num_images, "allowed is 1 in a grid")])
    drawn = {"seed": seed, "subseed": (seed + 2**31) % 2**32}  # alike in all cells, whatever an axis does to them
    base = base.model_copy(update={name: it for name, it in drawn.items() if getattr(base, name) == RANDOM_SEED})
    given = [(place, axis) for place in PLACES if (axis := getattr(asked, place)) is not None]
    axes = tuple(read_axis(place, axis.name, axis.values, most=max_cells, seed=seed) for place, axis in given)
    _refuse_twice(axes)
    number = 1
    for axis in axes:
        number *= len(axis.values)
    if number > max_cells:
        raise InvalidRequest([FieldError("x", f"{number} pictures", f"allowed are at most {max_cells} in one grid")])
    cells = tuple(
        _cell(base, [(axis, axis.values[at]) for axis, at in zip(axes, place, strict=True)])
        for place in places_of([len(axis.values) for axis in axes])
    )
    _refuse_vain_search(axes, base, cells)
    return Plan(axes, cells)


def _cell(base: GenerationRequest, chosen: Sequence[tuple[Axis, Any]]) -> GenerationRequest:
    """Whole values first: what is searched for in a prompt may come with another axis."""
    changed: dict[str, Any] = {}
    for axis, value in chosen:
        if axis.name == SIZE:
            changed["width"], changed["height"] = parse_shape(value)
        elif axis.name != PROMPT_SR:
            changed[axis.name] = value
    cell = base.model_copy(update=changed)
    for axis, value in chosen:
        if axis.name == PROMPT_SR:
            searched = str(axis.values[0])
            texts = {name: getattr(cell, name).replace(searched, value) for name in ("prompt", "negative_prompt")}
            if max(map(len, texts.values())) > MAX_PROMPT_CHARS:
                allowed = f"allowed are prompts of at most {MAX_PROMPT_CHARS} characters"
                raise InvalidRequest([FieldError(f"{axis.place}.values", value, allowed)])
            cell = cell.model_copy(update=texts)
    return cell


def _refuse_twice(axes: Sequence[Axis]) -> None:
    names = [axis.name for axis in axes]
    for axis in axes:
        if names.count(axis.name) > 1 and axis.name != PROMPT_SR:
            raise InvalidRequest([FieldError(f"{axis.place}.name", axis.name, "each parameter may be one axis")])
        if axis.name == SIZE and {"width", "height"} & set(names):
            raise InvalidRequest([FieldError(f"{axis.place}.name", SIZE, "it stands for width and height")])


def _refuse_vain_search(axes: Sequence[Axis], base: GenerationRequest, cells: Sequence[GenerationRequest]) -> None:
    for axis in axes:
        if axis.name != PROMPT_SR:
            continue
        searched = str(axis.values[0])
        texts = [base.prompt, base.negative_prompt, *(cell.prompt for cell in cells)]
        texts += [cell.negative_prompt for cell in cells]
        if not any(searched in text for text in texts):
            allowed = "the first value must be words of the prompt: they are replaced by the others"
            raise InvalidRequest([FieldError(f"{axis.place}.values", searched, allowed)])


def read_grid(value: object) -> GridRequest | None:
    """The grid that a file says, or None for anything else."""
    try:
        return GridRequest.model_validate(value)
    except ValidationError:
        return None
