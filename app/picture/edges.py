"""What control models read, made of a picture without a network: thin edges, bold lines, soft edges.

White on black, in RGB, of the picture's own size. The same picture always gives the same bytes.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from PIL import Image

from app.core.control import Preprocessor
from app.picture.fit import cover

if TYPE_CHECKING:
    import numpy as np

# OpenCV and numpy are imported where they are used: a service that is never asked does without them.
CANNY_LOW, CANNY_HIGH = 100, 200  # what the usual models were trained with
# A1111's `scribble_xdog`: the difference of two blurs.
FINE, COARSE, SCRIBBLE_THRESHOLD = 0.5, 5.0, 32
SOFT_GAIN = 0.25  # of the Scharr gradient, whose largest value is 16 x 255


def hint(picture: Image.Image, preprocessor: Preprocessor, width: int, height: int) -> Image.Image:
    """What a control model sees of an RGB picture: scaled to fill that size, what sticks out cut, then preprocessed."""
    return preprocessed(fitted(picture, width, height), preprocessor)


def fitted(picture: Image.Image, width: int, height: int) -> Image.Image:
    """A picture scaled to fill that size, what sticks out cut."""
    fits = picture.size == (width, height)
    return picture if fits else cover(picture, width, height, Image.Resampling.LANCZOS)


def preprocessed(picture: Image.Image, preprocessor: Preprocessor) -> Image.Image:
    """What the preprocessor makes of an RGB picture, in its own size. Not for what a model sees."""
    if preprocessor is Preprocessor.NONE:
        return picture
    import numpy as np

    return Image.fromarray(_MADE_BY[preprocessor](np.asarray(picture))).convert("RGB")


def _canny(pixels: "np.ndarray") -> "np.ndarray":
    import cv2

    edges: np.ndarray = cv2.Canny(pixels, CANNY_LOW, CANNY_HIGH)
    return edges


def _scribble(pixels: "np.ndarray") -> "np.ndarray":
    import cv2
    import numpy as np

    values: np.ndarray = pixels.astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(values, (0, 0), width) for width in (FINE, COARSE))
    dark = 255 - (255 - np.min(coarse - fine, axis=2)).clip(0, 255).astype(np.uint8)
    lines: np.ndarray = np.where(2 * dark.astype(np.int32) > SCRIBBLE_THRESHOLD, 255, 0).astype(np.uint8)
    return lines


def _soft(pixels: "np.ndarray") -> "np.ndarray":
    import cv2
    import numpy as np

    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
    strength = cv2.magnitude(cv2.Scharr(grey, cv2.CV_32F, 1, 0), cv2.Scharr(grey, cv2.CV_32F, 0, 1))
    soft: np.ndarray = (SOFT_GAIN * strength).clip(0, 255).astype(np.uint8)
    return soft


_MADE_BY: Mapping[Preprocessor, Callable[["np.ndarray"], "np.ndarray"]] = {
    Preprocessor.CANNY: _canny,
    Preprocessor.SCRIBBLE: _scribble,
    Preprocessor.SOFT_EDGE: _soft,
}
