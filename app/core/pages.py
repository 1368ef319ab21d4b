"""One page of a longer list, as every list in Atelier is handed out."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class ListPage(Generic[Item]):
    """Some items in order, and where to go on: `next` is the cursor of the next page, or None at the end."""

    items: tuple[Item, ...] = ()
    next: str | None = None
