"""A clock that stands still while nobody looks at it."""

import time

LONGEST_LOOK_S = 1.0  # whoever waits looks twenty times a second, also on a busy machine about once


class WatchedClock:
    """Seconds that its owner was awake: a pause of the process or of the whole machine counts as one second at most.

    Right for a limit on someone else's silence: a machine that slept for an hour wakes with nobody having been silent.
    Look at it at least once a second, or it runs slow. For one thread.
    """

    def __init__(self) -> None:
        self._seen_s = 0.0
        self._looked_at = time.monotonic()

    def now(self) -> float:
        """Seconds since it was made, pauses left out."""
        looked_at = time.monotonic()
        self._seen_s += min(looked_at - self._looked_at, LONGEST_LOOK_S)
        self._looked_at = looked_at
        return self._seen_s
