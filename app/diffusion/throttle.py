"""At most so often."""

import time
from collections.abc import Callable


def throttle(per_second: float) -> Callable[[], bool]:
    """A question that is answered yes at most so often."""
    last = -1e9

    def due() -> bool:
        nonlocal last
        now = time.monotonic()
        if not per_second or now - last < 1 / per_second:
            return False
        last = now
        return True

    return due
