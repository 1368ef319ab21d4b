"""Models that make a picture larger, one tile of it after the other.

What makes the tiles is a `Maker`: here Swin2SR, by transformers; those that draw them anew are in `redrawing`.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import transformers
from PIL import Image

from app.catalog import ModelEntry
from app.core.errors import FieldError, InvalidRequest, ModelRefused, OutOfMemory
from app.core.schema import GenerationRequest
from app.core.settings import Tier
from app.diffusion.alone import folder_of, load_alone
from app.diffusion.machine import choose_device, dtype_name
from app.diffusion.memory import free_caches, is_out_of_memory
from app.picture.fit import scaled
from app.picture.resize import MAX_PIXELS

TILE, MARGIN = 192, 16  # pixels of the picture that are made at a time, and around them those that are only looked at
WINDOW = 8  # what the network cuts a picture into; sides are filled up to a multiple of it
Box = tuple[int, int, int, int]
OTHER_UPSCALER = "Close other programs, or make the picture larger by another upscaler: Lanczos needs no model."


class Maker(Protocol):
    """Makes a picture `factor` times as wide and as high, tile by tile.

    `asked` says by which words, steps, guidance and seed, where it draws; a maker that does not makes nothing of it.
    """

    @property
    def factor(self) -> int: ...

    def tiles(self, width: int, height: int) -> int:
        """How many tiles a picture of that size is made in."""
        ...

    def steps(self, asked: GenerationRequest) -> int:
        """In how many steps it makes a tile."""
        ...

    def larger(
        self, picture: Image.Image, asked: GenerationRequest, number: int, told: Callable[[], None]
    ) -> Image.Image:
        """The RGB picture made larger; its first tile has this number. `told` hears each step, and may raise.

        Raises OutOfMemory, GenerationFailed.
        """
        ...

    def layout(self) -> str:
        """How it is laid out in memory: the name of a plan."""
        ...

    def how(self, asked: GenerationRequest) -> dict[str, Any]:
        """What the recipe of such a picture says of it."""
        ...

    def notes(self, asked: GenerationRequest) -> list[str]:
        """What is to be said of what was asked for and has no effect."""
        ...


@dataclass(frozen=True)
class Upscaler:
    """A loaded model, which makes pictures `factor` times as wide and as high."""

    entry: ModelEntry
    maker: Maker
    device: torch.device

    @property
    def factor(self) -> int:
        """How many times as wide and as high a picture is after it ran once."""
        return self.maker.factor

    def own(self, asked: GenerationRequest, seed: int) -> GenerationRequest:
        """The same words with this seed, and the model's own steps and guidance: for a request to another model."""
        own = {"num_inference_steps": self.entry.num_inference_steps, "guidance_scale": self.entry.guidance_scale}
        return asked.model_copy(update={**own, "seed": seed})

    def passes(self, scale: float) -> int:
        """How often it runs until a picture is `scale` times as large, or larger; at least once."""
        return next(count for count in range(1, 8) if self.factor**count >= scale)

    def sizes(self, width: int, height: int, scale: float) -> list[tuple[int, int]]:
        """The sizes that a picture has on its way to one `scale` times as large, its own first."""
        return [(width * self.factor**i, height * self.factor**i) for i in range(self.passes(scale) + 1)]

    def tiles(self, width: int, height: int, scale: float) -> int:
        """How many tiles are made for that."""
        return sum(self.maker.tiles(*size) for size in self.sizes(width, height, scale)[:-1])

    def steps(self, width: int, height: int, scale: float, asked: GenerationRequest) -> int:
        """How many steps all these tiles are made in."""
        return self.tiles(width, height, scale) * self.maker.steps(asked)

    def how(self, asked: GenerationRequest) -> dict[str, Any]:
        """What the recipe of a picture that it made says of it."""
        named = {"upscaler": self.entry.title, "model": self.entry.key, "repository": self.entry.repository}
        return {**named, "device": str(self.device), **self.maker.how(asked)}

    def enlarge(
        self,
        picture: Image.Image,
        scale: float,
        told: Callable[[int, int], None],
        field: str = "scale",
        asked: GenerationRequest | None = None,
    ) -> Image.Image:
        """The RGB picture `scale` times as large, or larger. `told` hears how many steps are done of how many, and may
        raise. `asked` is what it is drawn by; absent, no words.

        Raises InvalidRequest, naming `field`, if it would have more than 16 million pixels on the way; OutOfMemory,
        GenerationFailed.
        """
        sizes = self.sizes(picture.width, picture.height, scale)
        if math.prod(sizes[-1]) > MAX_PIXELS:
            width, height = sizes[-1]
            allowed = (
                f"{self.entry.key} would make {width}x{height}, which is too large; allowed are {MAX_PIXELS} pixels"
            )
            raise InvalidRequest([FieldError(field, scale, f"{allowed} in all")])
        asked = asked or self.own(GenerationRequest(prompt=""), 0)
        of = self.steps(picture.width, picture.height, scale, asked)
        done = number = 0

        def step() -> None:
            nonlocal done
            done += 1
            told(done, of)

        for width, height in sizes[:-1]:
            picture = self.maker.larger(picture, asked, number, step)
            number += self.maker.tiles(width, height)
        return picture


@dataclass(frozen=True)
class OneNetwork:
    """A `Maker` of one network that tells what is between pixels: Swin2SR. What it sees around a tile is cut off."""

    network: Any
    device: torch.device

    @property
    def factor(self) -> int:
        """See `Maker`."""
        return int(self.network.config.upscale)

    def tiles(self, width: int, height: int) -> int:
        """See `Maker`."""
        return len(list(_tiles(width, height)))

    def steps(self, asked: GenerationRequest) -> int:
        """See `Maker`."""
        return 1

    def layout(self) -> str:
        """See `Maker`."""
        return Tier.RESIDENT.value

    def how(self, asked: GenerationRequest) -> dict[str, Any]:
        """See `Maker`."""
        versions = {"torch": torch.__version__, "transformers": transformers.__version__}
        return {"dtype": dtype_name(torch.float32), "versions": versions}

    def notes(self, asked: GenerationRequest) -> list[str]:
        """See `Maker`."""
        return []

    def larger(
        self, picture: Image.Image, asked: GenerationRequest, number: int, told: Callable[[], None]
    ) -> Image.Image:
        """See `Maker`."""
        large = Image.new("RGB", (picture.width * self.factor, picture.height * self.factor))
        for box in list(_tiles(picture.width, picture.height)):
            large.paste(self._made(picture, box), (box[0] * self.factor, box[1] * self.factor))
            told()
        return large

    def _made(self, picture: Image.Image, box: Box) -> Image.Image:
        try:
            made: Image.Image = self._tile(picture, box)
            return made
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        free_caches()
        size = f"{box[2] - box[0]}x{box[3] - box[1]}"
        raise OutOfMemory(f"There was not enough memory for {size} pixels.", hint=OTHER_UPSCALER)

    @torch.no_grad()
    def _tile(self, picture: Image.Image, box: Box) -> Image.Image:
        """The part in `box`, larger: made with what is around it, which is then cut off."""
        left, top, right, bottom = box
        seen = max(0, left - MARGIN), max(0, top - MARGIN), right + MARGIN, bottom + MARGIN
        part = picture.crop((*seen[:2], min(seen[2], picture.width), min(seen[3], picture.height)))
        data = torch.frombuffer(bytearray(part.tobytes()), dtype=torch.uint8)
        values = data.view(1, part.height, part.width, 3).permute(0, 3, 1, 2).float().to(self.device) / 255
        missing = (0, -part.width % WINDOW, 0, -part.height % WINDOW)
        made = self.network(torch.nn.functional.pad(values, missing, "replicate")).reconstruction[0]
        x, y = (left - seen[0]) * self.factor, (top - seen[1]) * self.factor
        wide, high = (right - left) * self.factor, (bottom - top) * self.factor
        inner = made[:, y : y + high, x : x + wide].clamp(0, 1).mul(255).round().to(torch.uint8).cpu()
        return Image.frombytes("RGB", (wide, high), inner.permute(1, 2, 0).contiguous().numpy().tobytes())


class Upscalers:
    """Keeps the one of a single network that was used last. One thread; `loaded` for any."""

    def __init__(self, device: str | torch.device | None = None) -> None:
        self._device = device if isinstance(device, torch.device) else choose_device(device)
        self._last: Upscaler | None = None

    def load(self, entry: ModelEntry, folder: Path) -> Upscaler:
        """The model of an entry; free if it was used last. Raises ModelRefused."""
        if self._last is None or self._last.entry != entry:
            self._last = None
            self._last = _load(entry, folder_of(entry, folder), self._device)
        return self._last

    def unload(self, key: str) -> bool:
        """Free its memory. False if it was not loaded."""
        was_loaded = key in self.loaded()
        if was_loaded:
            self._last = None
        return was_loaded

    def loaded(self) -> tuple[str, ...]:
        """The key of the one that is loaded."""
        last = self._last
        return (last.entry.key,) if last else ()


def fitted(picture: Image.Image, width: int, height: int) -> tuple[Image.Image, list[str]]:
    """The picture in that size, and what is said of that if it had another."""
    if picture.size == (width, height):
        return picture, []
    note = f"made {picture.width}x{picture.height} by the model, then reduced to {width}x{height}"
    return scaled(picture, width, height, Image.Resampling.LANCZOS), [note]


def _tiles(width: int, height: int) -> Iterator[Box]:
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            yield left, top, min(left + TILE, width), min(top + TILE, height)


def _load(entry: ModelEntry, folder: Path, device: torch.device) -> Upscaler:
    network: Any = load_alone(entry, folder, device)
    if int(network.config.upscale) < 2 or network.config.num_channels != 3:
        raise ModelRefused(f"{entry.key} makes no RGB picture larger.")
    return Upscaler(entry, OneNetwork(network, device), device)
