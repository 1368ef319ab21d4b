"""How many pictures share a pass: as many as were seen to pay, on this engine, for this model and size.

Nobody waits for a fuller pass: what is queued at that moment fills it, up to the number that is found here.
"""

import json
import logging
import os
import threading
from collections import deque
from pathlib import Path
from statistics import median

from app.core.picture import Picture
from app.core.schema import GenerationRequest

WORTH = 0.95  # of a picture's time in the smaller pass: the larger one must take less, or it is not worth its delay
TRIED = 3  # passes of a size before it is judged
KEPT = 9  # the latest passes of a size, of which the median counts
MOST_KINDS = 1000

logger = logging.getLogger(__name__)
_Curve = dict[int, deque[float]]  # pictures in a pass → seconds of one step of one picture, of the latest passes


class Passes:
    """The measured curves of all engines. Kept in `file`, if there is one, so that a start need not try again.

    Safe from any thread. Without a measurement a pass has one picture; from then on twice as many are tried, as long as
    that pays.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._curves: dict[str, _Curve] = _read(file) if file else {}
        self._last: tuple[str, float] = ("", 0.0)

    def best(self, device: str, request: GenerationRequest, most: int) -> int:
        """1 to `most` pictures, a power of two."""
        with self._lock:
            kind = _kind(device, request)
            if kind not in self._curves and len(self._curves) >= MOST_KINDS:
                del self._curves[next(iter(self._curves))]
            curve = self._curves.setdefault(kind, {})
            size = 1
            while 2 * size <= most and len(curve.get(size, ())) >= TRIED:
                larger = curve.get(2 * size, ())
                if len(larger) >= TRIED and median(larger) > WORTH * median(curve[size]):
                    return size
                size *= 2
            return size

    def measured(self, device: str, request: GenerationRequest, picture: Picture) -> None:
        """A picture was made: its `how` says of how large a pass (`batch_size`), and what it took (`seconds`).

        Only what `best` was asked for is noted: where a pass has one picture anyway, there is nothing to find out.
        """
        batch, seconds, steps = (picture.how.get("batch_size"), picture.how.get("seconds"), request.num_inference_steps)
        if not isinstance(batch, int) or not isinstance(seconds, int | float) or batch < 1 or not steps:
            return
        kind, size = _kind(device, request), 1 << (batch.bit_length() - 1)
        with self._lock:
            curve = self._curves.get(kind)
            if curve is None or self._last == (kind, seconds):  # nobody asks, or of the same pass
                return
            self._last = kind, seconds
            found = curve.setdefault(size, deque(maxlen=KEPT))
            found.append(round(seconds / steps, 6))
            if len(found) == TRIED:  # what is decided by now is worth keeping
                self._keep()

    def _keep(self) -> None:
        if self._file is None:
            return
        plain = {kind: {size: [*each] for size, each in curve.items()} for kind, curve in self._curves.items()}
        new = self._file.with_name(f".{self._file.name}.new")
        try:
            new.write_text(json.dumps(plain), encoding="utf-8")
            os.replace(new, self._file)
        except OSError as error:
            logger.warning("What passes take could not be kept: %s", error.strerror)


def _kind(device: str, request: GenerationRequest) -> str:
    return f"{device} {request.model} {request.width}x{request.height}"


def _read(file: Path) -> dict[str, _Curve]:
    """What an earlier start kept; nothing if it cannot be read: it is measured again."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(kind): {int(size): deque(map(float, each), maxlen=KEPT) for size, each in curve.items()}
            for kind, curve in kept.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError):
        logger.warning("%s cannot be read; what passes take is measured again", file.name)
        return {}
