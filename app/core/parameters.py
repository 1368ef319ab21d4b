"""What doors and engines must know of each field of a request, beside its type and range: one row stands at each field.

A new parameter is a field of `schema.GenerationRequest` with such a row. `batching`, the infotext and the pipeline's
call follow from it; what they cannot follow is found by the tests that walk `parameters()`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotated_types import Ge, Le
from pydantic import BaseModel


@dataclass(frozen=True)
class Parameter:
    """One row. Everything is off unless it is said.

    `per_row`: pictures of one pass may differ in it; all that differ in another field never share a pass.
    `argument`: handed to the pipeline under the field's own name; a pipeline that does not take it says so in a note.
    `infotext`: its key in A1111's parameter line, where it stands as a plain number; `infotext_from` is what A1111
    counts from where we count from 0.
    """

    per_row: bool = False
    argument: bool = False
    infotext: str | None = None
    infotext_from: int = 0


def parameters(request: type[BaseModel]) -> Mapping[str, Parameter]:
    """Field → row, in the order of the fields. Raises LookupError for a field without exactly one."""
    table: dict[str, Parameter] = {}
    for name, field in request.model_fields.items():
        rows = [item for item in field.metadata if isinstance(item, Parameter)]
        if len(rows) != 1:
            raise LookupError(
                f"{request.__name__}.{name} needs one Parameter(...) beside its type, which says whether pictures of "
                "one pass may differ in it, whether the pipeline takes it, and its name in an infotext."
            )
        table[name] = rows[0]
    return table


def bounds(request: type[BaseModel]) -> dict[str, tuple[float, float | None]]:
    """Field → least and most it may ever be, of the fields that are numbers; None = no most."""
    found = {}
    for name, field in request.model_fields.items():
        least = [item.ge for item in field.metadata if isinstance(item, Ge)]
        most = [item.le for item in field.metadata if isinstance(item, Le)]
        if least:
            found[name] = (float(str(least[0])), float(str(most[0])) if most else None)
    return found


def numbers_of_infotext(request: BaseModel) -> dict[str, Any]:
    """A1111's key → value, for the parameters that stand there as plain numbers and are not their default."""
    shown = {}
    for name, row in parameters(type(request)).items():
        value = getattr(request, name)
        if row.infotext and value is not None and value != type(request).model_fields[name].default:
            shown[row.infotext] = value + row.infotext_from
    return shown
