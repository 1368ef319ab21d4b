"""What holds a picture while it is drawn: the units of a request, their pictures, and what pipelines want of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image

from app.core.control import ControlUnit, counting
from app.core.schema import GenerationRequest
from app.diffusion.kinds import Vae
from app.diffusion.starts import Pictures, Start, opened_flat
from app.picture.edges import hint
from app.picture.fit import cover, scaled


@dataclass(frozen=True)
class Guides:
    """The units of one request that have an effect, each with its picture (RGB). `frame` is what it starts from."""

    units: tuple[ControlUnit, ...]
    pictures: tuple[Image.Image, ...]
    frame: Start | None = None

    def at(self, width: int, height: int) -> list[Image.Image]:
        """What the control models see, in the size that is drawn: fitted as starts are, then preprocessed."""
        return [
            hint(self._seen(picture, width, height), unit.preprocessor, width, height)
            for unit, picture in zip(self.units, self.pictures, strict=True)
        ]

    def arguments(self, taken: set[str], width: int, height: int) -> dict[str, Any]:
        """The part of a pipeline's call that says what holds its pictures; `taken` are the names that it takes."""
        image = "control_image" if "control_image" in taken else "image"
        return {
            image: _one_or_all(self.at(width, height)),
            "controlnet_conditioning_scale": _one_or_all([unit.weight for unit in self.units]),
            "control_guidance_start": _one_or_all([unit.start for unit in self.units]),
            "control_guidance_end": _one_or_all([unit.end for unit in self.units]),
        }

    def models(self, loaded: Mapping[str, Any]) -> list[Any]:
        """The control model of each unit."""
        return [loaded[unit.model] for unit in self.units]

    def _seen(self, picture: Image.Image, width: int, height: int) -> Image.Image:
        if self.frame is None or self.frame.box is None:
            return picture
        # It covers all of the picture that is started from; of that only a part is drawn.
        whole = cover(picture, *self.frame.picture.size, Image.Resampling.LANCZOS)
        return scaled(whole, width, height, Image.Resampling.LANCZOS, self.frame.box)


@contextmanager
def settled(vae: Vae) -> Iterator[None]:
    """While open, what the VAE encodes without a seed is its most likely value, and not drawn at random.

    Stable Diffusion 3's pipeline would draw the control picture's latents from torch's own numbers, which are others
    each time. What is drawn from a seed is left as it is.
    """
    own = vae.encode

    def encode(*args: Any, **kwargs: Any) -> Any:
        encoded = own(*args, **kwargs)
        likely = getattr(encoded, "latent_dist", None)
        if likely is not None:
            draw = likely.sample
            likely.sample = lambda generator=None: likely.mode() if generator is None else draw(generator)
        return encoded

    vae.encode = encode
    try:
        yield
    finally:
        del vae.encode


def guides_of(request: GenerationRequest, pictures: Pictures, frame: Start | None) -> Guides | None:
    """The guides of a resolved request; None if nothing holds its pictures. Raises UnknownInput."""
    units = counting(request)
    if not units:
        return None
    return Guides(units, tuple(opened_flat(pictures, unit.image) for unit in units), frame)


def _one_or_all(values: list[Any]) -> Any:
    """A pipeline with one control model takes no lists."""
    return values[0] if len(values) == 1 else values
