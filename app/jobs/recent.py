"""A mapping that cannot grow without end."""

from collections import OrderedDict
from typing import TypeVar

KEPT = 2_000
Kept = TypeVar("Kept")


class Recent(OrderedDict[str, Kept]):
    """What was set last: what was set long ago is forgotten beyond 2,000 keys."""

    def __setitem__(self, key: str, value: Kept) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > KEPT:
            self.popitem(last=False)
