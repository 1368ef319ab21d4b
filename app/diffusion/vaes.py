"""Another VAE in the place of a model's own, while pictures are made that ask for it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from diffusers.loaders.single_file_utils import SingleFileComponentError
from safetensors import SafetensorError

from app.core.errors import ModelRefused, OutOfMemory
from app.diffusion.checkpoints import CheckedFolder, check_alone
from app.diffusion.kinds import Pipeline, Vae
from app.diffusion.memory import free_caches, is_out_of_memory
from app.diffusion.single_file import LAYOUTS, CheckedFile
from app.diffusion.stamps import Stamp, file_stamp
from app.weights.vaes import vae_files

SHOWN_HASH = 10  # hexadecimal digits, as A1111 shows them
Key = tuple[str, torch.dtype, tuple[Stamp, ...]]


@dataclass(frozen=True)
class OtherVae:
    """A loaded VAE, by the name that requests say; `hash` is the beginning of its file's SHA-256."""

    name: str
    vae: Vae
    hash: str


class Vaes:
    """Keeps the one that was used last. One thread."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last: tuple[Key, OtherVae] | None = None

    def load(self, name: str, folder: Path, checked: CheckedFolder | CheckedFile, dtype: torch.dtype) -> OtherVae:
        """The VAE of this name in the models `folder`, for a model; free if it was used last.

        A file of the training code's layout is read with the configuration of that model's own VAE.
        Raises ModelRefused, OutOfMemory.
        """
        place = vae_files(folder).get(name)
        if place is None:
            raise ModelRefused(f"The VAE {name} is not on this machine.")
        files = sorted(place.glob("*.safetensors")) if place.is_dir() else [place]
        key = name, dtype, tuple(file_stamp(file) for file in files)
        if self._last is None or self._last[0] != key:
            self._last = None
            self._last = key, OtherVae(name, self._read(name, place, checked, dtype), _hash(files[0]))
        return self._last[1]

    def forget(self) -> None:
        """Free its memory."""
        self._last = None

    def _read(self, name: str, place: Path, checked: CheckedFolder | CheckedFile, dtype: torch.dtype) -> Vae:
        if place.is_dir():
            check_alone(place, AutoencoderKL.__name__)
        problem: str
        try:
            vae: Any
            if place.is_dir():
                vae = AutoencoderKL.from_pretrained(
                    place, use_safetensors=True, local_files_only=True, torch_dtype=dtype
                )
            else:
                own = checked.folder if isinstance(checked, CheckedFolder) else _config_of(checked)
                vae = AutoencoderKL.from_single_file(
                    str(place), config=str(own), subfolder="vae", local_files_only=True, torch_dtype=dtype
                )
            if any(tensor.is_meta for tensor in vae.parameters()):
                raise ValueError("it lacks tensors that its configuration names")
            return vae.to(self._device).eval()
        except (
            OSError, ValueError, TypeError, RuntimeError, LookupError, AttributeError, NotImplementedError, MemoryError,
            SafetensorError, SingleFileComponentError,
        ) as error:  # fmt: skip
            problem, memory_ran_out = f"{type(error).__name__}: {str(error)[:300]}", is_out_of_memory(error)
        free_caches()  # not inside `except`, whose frames keep half a model alive
        if memory_ran_out:
            raise OutOfMemory(f"There is not enough memory for the VAE {name}.", hint=problem)
        raise ModelRefused(f"The VAE {name} cannot be loaded: {problem}")


@contextmanager
def with_other_vae(pipe: Pipeline, other: OtherVae | None, *, tiled: bool) -> Iterator[None]:
    """While open, the pipeline reads and writes latents by the other VAE, if there is one; in tiles as its own would.

    Raises ModelRefused for one that is known to read another kind of latents.
    """
    if other is None:
        yield
        return
    own, vae = pipe.vae, other.vae
    if _latents(vae) != _latents(own):
        raise ModelRefused(f"The VAE {other.name} is made for another kind of model.")
    vae.enable_tiling() if tiled else vae.disable_tiling()
    pipe.vae = vae
    try:
        yield
    finally:
        pipe.vae = own


def _latents(vae: Vae) -> tuple[object, ...]:
    """What kind of latents it reads: how much smaller they are, their channels and their scale."""
    config = vae.config
    return len(config.block_out_channels), config.latent_channels, config.scaling_factor


def _config_of(checked: CheckedFile) -> Path:
    return checked.config or LAYOUTS / checked.layout.value


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:SHOWN_HASH]
