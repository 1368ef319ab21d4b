"""What holds a picture while it is drawn: the units of a request, their pictures, and what pipelines want of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image

from app.core.control import ControlUnit, Preprocessor, counting
from app.core.schema import GenerationRequest
from app.diffusion.kinds import Vae
from app.diffusion.seers import Seer
from app.diffusion.starts import Pictures, Start, opened_flat
from app.picture.edges import fitted, preprocessed
from app.picture.fit import cover, scaled


@dataclass(frozen=True)
class Guides:
    """The units of one request that have an effect, each with its picture (RGB). `frame` is what it starts from."""

    units: tuple[ControlUnit, ...]
    pictures: tuple[Image.Image, ...]
    frame: Start | None = None

    def of(self, loaded: Mapping[str, Any], kinds: type | tuple[type, ...], *, others: bool = False) -> "Guides":
        """Those of its units whose control models are of these classes, or all `others`."""
        pairs = [pair for pair in self._pairs() if isinstance(loaded[pair[0].model], kinds) != others]
        return Guides(tuple(unit for unit, _ in pairs), tuple(picture for _, picture in pairs), self.frame)

    def at(self, width: int, height: int, loaded: Mapping[str, Any]) -> list[Image.Image]:
        """What the control models see, in the size that is drawn: fitted as starts are, then preprocessed."""
        return [
            _preprocessed(fitted(self._seen(picture, width, height), width, height), unit.preprocessor, loaded)
            for unit, picture in self._pairs()
        ]

    def arguments(self, taken: set[str], width: int, height: int, loaded: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a pipeline's call that says what holds its pictures; `taken` are the names that it takes."""
        if not self.units:
            return {}
        image = "control_image" if "control_image" in taken else "image"
        return {
            image: _one_or_all(self.at(width, height, loaded)),
            "controlnet_conditioning_scale": _one_or_all([unit.weight for unit in self.units]),
            "control_guidance_start": _one_or_all([unit.start for unit in self.units]),
            "control_guidance_end": _one_or_all([unit.end for unit in self.units]),
        }

    def models(self, loaded: Mapping[str, Any]) -> list[Any]:
        """The control model of each unit."""
        return [loaded[unit.model] for unit in self.units]

    def _pairs(self) -> list[tuple[ControlUnit, Image.Image]]:
        return list(zip(self.units, self.pictures, strict=True))

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


def _preprocessed(picture: Image.Image, preprocessor: Preprocessor, loaded: Mapping[str, Any]) -> Image.Image:
    if not preprocessor.by_model:
        return preprocessed(picture, preprocessor)
    seers: list[Seer] = [model for model in loaded.values() if isinstance(model, Seer)]
    seen: Image.Image = next(seer for seer in seers if seer.preprocessor is preprocessor).seen(picture)
    return seen


def _one_or_all(values: list[Any]) -> Any:
    """A pipeline with one control model takes no lists."""
    return values[0] if len(values) == 1 else values
